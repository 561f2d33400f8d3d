//! A connection's conversation besides publishing: its script, its answers, its timed messages. The session itself is pure
//! (`scenario::session`); here its actions meet sockets, timers and HTTP. A connection without a script has none of this.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::spawn_local;

use crate::base::{ConnId, Span};
use crate::scenario::model::Request;
use crate::scenario::model::{Behaviour, OwnMatchers, Scenario, ScriptStep};
use crate::scenario::session::{Action, Claim, Session};
use crate::scenario::template::{Captured, MissingValue, Vars};

use super::clock::Clock;
use super::link::Link;
use super::session::State;
use super::shard::Shard;

/// The state of one conversation.
#[derive(Debug)]
pub(super) struct Talk {
    session: Session,
    group: usize,
    /// Which timer is the latest; an earlier one that fires is told nothing.
    timer: u32,
    /// The connection's own matchers, where some have variables. Shared, so that a message can be looked at while its class is told.
    own: Option<Rc<OwnMatchers>>,
}

/// What a conversation asks of its shard, since it takes time.
#[derive(Debug)]
pub(super) enum Errand {
    /// Call back after this span, unless a later timer was set.
    Timer(Span, u32),
    /// Make this request.
    Http(Request),
    /// The script is done: begin the timed messages.
    Timed,
}

/// What a connection must do at once.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Messages to send: content, and whether it is text.
    pub(super) send: Vec<(Vec<u8>, bool)>,
    /// For the shard.
    pub(super) errands: Vec<Errand>,
    /// The script is done; what it did not account for.
    pub(super) ready: Option<Vec<Vec<u8>>>,
    /// The script cannot be finished.
    pub(super) failed: Option<String>,
    /// The script asks for the handshake.
    pub(super) connect: bool,
}

impl Todo {
    fn fail(&mut self, missing: &MissingValue) {
        self.ready = None;
        self.failed.get_or_insert(missing.to_string());
    }
}

impl Talk {
    /// A conversation of this group's; `None` when there is nothing to say, and nothing to match that is the connection's own.
    pub(super) fn new(scenario: &Scenario, group: usize) -> Option<Box<Self>> {
        let own = scenario.varies(group).then(Rc::default);
        let silent = scenario.groups[group].behaviour.is_empty();
        (!silent || own.is_some()).then(|| Box::new(Self { session: Session::default(), group, timer: 0, own }))
    }

    pub(super) const fn captured(&self) -> &Captured {
        self.session.captured()
    }

    /// The connection's own matchers, if any have variables.
    #[inline]
    pub(super) fn own(&self) -> Option<Rc<OwnMatchers>> {
        self.own.clone()
    }

    pub(super) fn start(&mut self, scenario: &Scenario, vars: &Vars<'_>) -> Todo {
        let actions = self.session.start(self.behaviour(scenario), vars);
        self.todo(actions)
    }

    pub(super) fn on_open(&mut self, scenario: &Scenario, vars: &Vars<'_>) -> Todo {
        if let Err(missing) = self.bind(scenario, vars) {
            return Todo { failed: Some(missing.to_string()), ..Todo::default() };
        }
        let actions = self.session.on_open(self.behaviour(scenario), vars);
        self.todo(actions)
    }

    pub(super) fn on_message(&mut self, scenario: &Scenario, vars: &Vars<'_>, message: &[u8]) -> (Claim, Todo) {
        let was_ready = self.session.is_ready();
        let (claim, actions) = self.session.on_message(self.behaviour(scenario), vars, message);
        let mut todo = self.todo(actions);
        if matches!(claim, Claim::Script | Claim::Reply)
            && let Err(missing) = self.bind(scenario, vars)
            && !was_ready
        {
            todo.fail(&missing);
        }
        (claim, todo)
    }

    pub(super) fn on_timer(&mut self, scenario: &Scenario, vars: &Vars<'_>, timer: u32) -> Todo {
        let actions = if timer == self.timer { self.session.on_timer(self.behaviour(scenario), vars) } else { Vec::new() };
        self.todo(actions)
    }

    pub(super) fn on_http(&mut self, scenario: &Scenario, vars: &Vars<'_>, answer: Result<(u16, &[u8]), &str>) -> Todo {
        // The answer ends the wait for it.
        self.timer += 1;
        let actions = self.session.on_http(self.behaviour(scenario), vars, answer);
        let mut todo = self.todo(actions);
        if let Err(missing) = self.bind(scenario, vars) {
            todo.fail(&missing);
        }
        todo
    }

    pub(super) fn on_period(&mut self, scenario: &Scenario, vars: &Vars<'_>, reply: usize) -> Todo {
        let actions = self.session.on_period(self.behaviour(scenario), vars, reply);
        self.todo(actions)
    }

    /// The connection ended; why the client never became ready, if its script was not done.
    pub(super) fn on_end(&mut self, scenario: &Scenario, how: &str) -> Option<String> {
        self.session.on_end(self.behaviour(scenario), how)
    }

    pub(super) fn on_close(&mut self, scenario: &Scenario, vars: &Vars<'_>) -> Todo {
        let actions = self.session.on_close(self.behaviour(scenario), vars);
        self.todo(actions)
    }

    fn behaviour<'a>(&self, scenario: &'a Scenario) -> &'a Behaviour {
        &scenario.groups[self.group].behaviour
    }

    /// Gives the connection's own matchers the values there are by now.
    fn bind(&mut self, scenario: &Scenario, vars: &Vars<'_>) -> Result<(), MissingValue> {
        if let Some(own) = &mut self.own {
            *own = Rc::new(OwnMatchers::bind(scenario, self.group, &Vars { captured: self.session.captured(), ..*vars })?);
        }
        Ok(())
    }

    fn todo(&mut self, actions: Vec<Action>) -> Todo {
        let mut todo = Todo::default();
        for action in actions {
            match action {
                Action::Connect => todo.connect = true,
                Action::Send(bytes, text) => todo.send.push((bytes, text)),
                Action::Timer(span) => {
                    self.timer += 1;
                    todo.errands.push(Errand::Timer(span, self.timer));
                }
                Action::Http(request) => todo.errands.push(Errand::Http(request)),
                Action::Ready(held) => {
                    self.timer += 1;
                    todo.ready = Some(held);
                    todo.errands.push(Errand::Timed);
                }
                Action::Failed(reason) => todo.failed = Some(reason),
            }
        }
        todo
    }
}

/// Runs the requests at the head of a script, before the handshake.
///
/// # Errors
/// The reason, for people, when the script cannot go on.
pub(super) async fn prelude(shard: &Shard, conn: ConnId, talk: &mut Talk) -> Result<(), String> {
    let (scenario, behaviour) = (&*shard.plan.scenario, shard.behaviour(conn));
    let mut todo = talk.start(scenario, &shard.vars(conn));
    // Each request takes a step further, so the steps bound the loop.
    for _ in 0..=behaviour.script.len() {
        if let Some(reason) = todo.failed {
            return Err(reason);
        }
        if todo.connect {
            return Ok(());
        }
        let Some(request) = todo.errands.into_iter().find_map(|e| if let Errand::Http(request) = e { Some(request) } else { None }) else {
            return Ok(());
        };
        let answer = shard.ask(&request).await;
        let answer = answer.as_ref().map(|(status, body)| (*status, body.as_slice())).map_err(String::as_str);
        todo = talk.on_http(scenario, &shard.vars(conn), answer);
    }
    Err("the script never asks to connect".into())
}

/// Runs the errands conversations leave with their shard, each as a task of its own.
pub(super) async fn run_errands(shard: Rc<Shard>) {
    loop {
        shard.errands_waiting.notified().await;
        loop {
            let Some((conn, errand)) = shard.errands.borrow_mut().pop_front() else { break };
            let Some(link) = shard.link(conn) else { continue };
            // Whoever waits must not keep the socket of a connection that is over.
            let waiting = Rc::downgrade(&link);
            let shard = shard.clone();
            match errand {
                Errand::Timer(span, timer) => {
                    spawn_local(async move {
                        tokio::time::sleep(span.to_std()).await;
                        let Some(link) = waiting.upgrade() else { return };
                        link.borrow_mut().on_timer(&shard, shard.clock.now(), timer);
                    });
                }
                Errand::Http(request) => {
                    spawn_local(async move {
                        let answer = shard.ask(&request).await;
                        let Some(link) = waiting.upgrade() else { return };
                        link.borrow_mut().on_http(&shard, shard.clock.now(), answer);
                    });
                }
                Errand::Timed => timed(&shard, conn, &link),
            }
        }
    }
}

/// Starts a connection's timed messages. They end with it.
fn timed(shard: &Rc<Shard>, conn: ConnId, link: &Rc<RefCell<Link>>) {
    for (reply, every) in shard.behaviour(conn).timed() {
        let (shard, link) = (shard.clone(), Rc::downgrade(link));
        spawn_local(async move {
            let mut ticks = tokio::time::interval(every.to_std().max(std::time::Duration::from_millis(1)));
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let Some(link) = link.upgrade() else { return };
                let state = link.borrow().state();
                match state {
                    State::Ready => {}
                    // The script is done, the greeting has yet to come.
                    State::Waiting => continue,
                    _ => return,
                }
                link.borrow_mut().on_period(&shard, shard.clock.now(), reply);
            }
        });
    }
}

/// Whether any script of these behaviours makes a request: then a shard needs an HTTP client.
pub(super) fn asks(behaviour: &Behaviour) -> bool {
    behaviour.script.iter().any(|step| matches!(step, ScriptStep::Http(_)))
}

/// The wall clock for `{now_ms}`.
pub(super) fn now_ms() -> u64 {
    Clock::unix_millis()
}
