//! Which client is in which room, and how many of them receive: decided once, from the scenario and the seed.

use crate::base::{ConnId, Seed};
use crate::scenario::Scenario;
use crate::scenario::model::RoomsBy;

/// The clients divided over rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// Room by connection; empty when all are in one.
    rooms: Vec<u32>,
    /// Names by room.
    names: Vec<String>,
    /// Clients that receive, by room.
    receivers: Vec<u32>,
}

impl Division {
    pub(super) fn new(scenario: &Scenario, seed: Seed) -> Self {
        let connections: u32 = scenario.groups.iter().map(|g| g.count).sum();
        let (rooms, names) = match &scenario.rooms {
            None => (Vec::new(), vec!["1".to_owned()]),
            Some(rooms) => match &rooms.by {
                RoomsBy::RoundRobin => ((0..connections).map(|c| c % rooms.count.max(1)).collect(), numbered(rooms.count)),
                RoomsBy::Zipf { skew } => (zipf(connections, rooms.count, *skew, seed), numbered(rooms.count)),
                RoomsBy::Column(column) => by_column(scenario, column, connections, seed),
            },
        };
        let mut division = Self { rooms, receivers: vec![0; names.len()], names };
        let mut conn = 0;
        for group in &scenario.groups {
            for c in conn..conn + group.count {
                let room = division.room_of(ConnId(c)) as usize;
                if let Some(count) = division.receivers.get_mut(room).filter(|_| group.receives) {
                    *count += 1;
                }
            }
            conn += group.count;
        }
        division
    }

    /// The room of a connection.
    #[must_use]
    pub fn room_of(&self, c: ConnId) -> u32 {
        self.rooms.get(c.index()).copied().unwrap_or(0)
    }

    /// How many rooms there are, empty ones included; at least 1.
    #[must_use]
    pub fn rooms(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    /// The name of a room.
    #[must_use]
    pub fn name(&self, room: u32) -> &str {
        self.names.get(room as usize).map_or("", String::as_str)
    }

    /// How many clients of a room receive.
    #[must_use]
    pub fn receivers(&self, room: u32) -> u32 {
        self.receivers.get(room as usize).copied().unwrap_or(0)
    }
}

fn numbered(count: u32) -> Vec<String> {
    (1..=count.max(1)).map(|n| n.to_string()).collect()
}

/// Each client draws its room by the weights 1 / k^skew: the cumulated weights are searched for its share of the whole.
fn zipf(connections: u32, rooms: u32, skew: f64, seed: Seed) -> Vec<u32> {
    let mut total = 0.0;
    let cumulated: Vec<f64> = (1..=rooms.max(1))
        .map(|k| {
            total += f64::from(k).powf(-skew);
            total
        })
        .collect();
    let last = rooms.max(1) - 1;
    let seed = seed.derive("rooms");
    let draw = |c: u32| {
        let wanted = seed.nth(u64::from(c)).rng().unit() * total;
        u32::try_from(cumulated.partition_point(|sum| *sum <= wanted)).unwrap_or(last).min(last)
    };
    (0..connections).map(draw).collect()
}

/// Rooms in the order in which clients first name them. Without rows (the file was not read) all are in one room.
fn by_column(scenario: &Scenario, column: &str, connections: u32, seed: Seed) -> (Vec<u32>, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let mut rooms = Vec::new();
    for c in 0..connections {
        let row = scenario.feeder.as_ref().and_then(|f| f.row(ConnId(c), seed));
        let Some(name) = row.and_then(|r| r.get(column)) else { return (Vec::new(), vec!["1".to_owned()]) };
        let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let room = *known.entry(name.to_owned()).or_insert_with(|| {
            names.push(name.to_owned());
            next
        });
        rooms.push(room);
    }
    (rooms, names)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::PublisherId;
    use crate::plan::Plan;
    use crate::scenario::{Surroundings, read_with};

    fn plan(text: &str) -> Plan {
        let file = |_: &str| Ok("user,place\na,hall\nb,attic\nc,hall\n".to_owned());
        let around = Surroundings { env: &|_| None, file: &file, url: None };
        let scenario = read_with(text, "t.toml", &around).unwrap_or_else(|e| panic!("{e}")).scenario;
        Plan::new(Arc::new(scenario), Seed(1))
    }

    #[test]
    fn rooms_in_turn() {
        let plan = plan("rooms = 3\n[clients]\ncount = 10\n[publish]\npublishers = 4\npace = \"1/s\"\n");
        assert_eq!((0..5).map(|c| plan.room_name(ConnId(c))).collect::<Vec<_>>(), ["1", "2", "3", "1", "2"]);
        assert_eq!((0..4).map(|p| plan.audience_of(PublisherId(p))).collect::<Vec<_>>(), [4, 3, 3, 4]);
        assert!(plan.is_owed(PublisherId(0), ConnId(3)) && !plan.is_owed(PublisherId(0), ConnId(4)));
        assert_eq!(plan.division.rooms(), 3);
        // Ten publications in turn: three each of publishers 0 and 1, two each of the others.
        assert_eq!(plan.budget().steady.copies, 3 * 4 + 3 * 3 + 2 * 3 + 2 * 4);
    }

    #[test]
    fn a_few_rooms_are_large() {
        let plan = plan("rooms = { count = 20, by = \"zipf\", skew = 1.2 }\n[clients]\ncount = 5000\n");
        assert_eq!(plan.division.rooms(), 20);
        let sizes: Vec<_> = (0..20).map(|r| plan.division.receivers(r)).collect();
        assert_eq!(sizes.iter().sum::<u32>(), 5000);
        assert!(sizes[0] > 3 * sizes[4] && sizes[4] > sizes[19], "{sizes:?}");
    }

    #[test]
    fn rooms_from_a_column() {
        let plan = plan("rooms = { column = \"place\" }\n[feeder]\nfile = \"f.csv\"\n[clients]\ncount = 6\n");
        assert_eq!((0..6).map(|c| plan.room_name(ConnId(c))).collect::<Vec<_>>(), ["hall", "attic", "hall", "hall", "attic", "hall"]);
        assert_eq!((plan.division.rooms(), plan.division.receivers(0)), (2, 4));
    }

    #[test]
    fn groups_that_publish_and_groups_that_listen() {
        let groups =
            "[[clients]]\nname = \"readers\"\ncount = 5\n[[clients]]\nname = \"writers\"\ncount = 2\npublish = true\nreceives = false\n";
        let plan = plan(&format!("{groups}[publish]\npace = \"4/s\"\n"));
        assert_eq!((plan.publishers, plan.connection_of(PublisherId(1))), (2, ConnId(6)));
        assert_eq!((plan.publisher_of(ConnId(5)), plan.publisher_of(ConnId(4))), (Some(PublisherId(0)), None));
        assert_eq!(plan.audience_of(PublisherId(0)), 5);
        assert!(!plan.is_owed(PublisherId(0), ConnId(6)));
        let shares: Vec<_> = plan.timetable().share(0, 2).iter().map(|p| p.publisher.0).take(3).collect();
        assert_eq!(shares, [1, 1, 1], "connection 6 belongs to share 0 of 2");
    }
}
