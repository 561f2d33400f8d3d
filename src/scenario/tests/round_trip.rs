//! Any scenario that can be meant, written and read again; and texts that mean none.

use proptest::prelude::*;

use super::super::model::*;
use super::super::parse;
use super::super::shape::{Read, Shape};
use super::super::template::Names;
use super::EXAMPLE;
use crate::base::{ByteSize, Rate, Span};

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![(1_u64..100_000).prop_map(Span::from_millis), (1_u64..10_000_000_000).prop_map(Span::from_nanos)]
}

fn rates() -> impl Strategy<Value = Rate> {
    prop_oneof![(1_u32..5000).prop_map(|n| format!("{n}/s")), (1_u32..99_999).prop_map(|n| format!("{}/s", f64::from(n) / 1000.0))]
        .prop_map(|text| text.parse().expect("a rate"))
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "\\PC{1,12}", Just("\"quotes\" and 'more' \\ \n\t".to_owned())]
}

fn jsons() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        (-1000_i32..1000).prop_map(|n| (f64::from(n) / 8.0).into()),
        texts().prop_map(Into::into),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::vec((texts(), inner), 0..3).prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts that look like variables, and are none.
fn braced() -> impl Strategy<Value = String> {
    prop_oneof![
        texts(),
        prop::collection::vec(prop::sample::select(vec!["{room}", "{", "}", "{{", "x", "{a|b}", "{é}"]), 1..5)
            .prop_map(|parts| parts.concat())
    ]
}

fn matchers() -> BoxedStrategy<Wanted> {
    let classes = prop::sample::select(vec!["[{room}]", "\\p{Greek}+", "a{2,3}", "\\{room\\}", "[^]{a}]", "\\x{2764}"]);
    let fixed = prop_oneof![
        braced().prop_map(Matcher::Exact),
        braced().prop_map(Matcher::Contains),
        braced().prop_map(Matcher::Prefix),
        braced().prop_map(|t| Matcher::Regex(Pattern::new(&regex::escape(&t)).expect("escaped"))),
        classes.prop_map(|t| Matcher::Regex(Pattern::new(t).expect("a pattern"))),
        jsons().prop_map(Matcher::Json),
        (braced(), braced()).prop_map(|(key, value)| Matcher::Json(serde_json::json!({ key: [value] }))),
    ];
    let varying = (braced(), prop::sample::select(vec!["{client.id}", "{room|json}", "{env.TOKEN}"]), braced(), 0..5).prop_map(
        |(before, variable, after, kind)| {
            let text = format!("{}<{variable}>{}", Template::escape(&before, false), Template::escape(&after, false));
            let template = |pattern| Template::parse_fixed(&text, &Names::default(), pattern).expect("escaped");
            Wanted::WithVariables(match kind {
                0 => Varying::Exact(template(false)),
                1 => Varying::Contains(template(false)),
                2 => Varying::Prefix(template(false)),
                3 => {
                    let text = format!("{}<{variable}>{}", regex::escape(&before), regex::escape(&after));
                    Varying::Regex(Template::parse_fixed(&text, &Names::default(), true).expect("escaped"))
                }
                _ => match Shape::read(serde_json::json!({ "a": [1, { &text: &text }] }), &Names::default()) {
                    Ok(Read::Varying(shape)) => Varying::Json(shape),
                    other => panic!("it varies: {other:?}"),
                },
            })
        },
    );
    prop_oneof![3 => fixed.prop_map(Wanted::Fixed), 1 => varying].boxed()
}

fn groups() -> impl Strategy<Value = ClientGroup> {
    let greeting = prop_oneof![
        Just(Greeting::Any),
        Just(Greeting::None),
        (matchers(), spans()).prop_map(|(matches, within)| Greeting::Expected { matches, within }),
    ];
    let subprotocols = prop::sample::subsequence(vec!["a".to_owned(), "b.v1".to_owned(), "c-2".to_owned()], 0..3);
    let scripted = prop_oneof![greeting.prop_map(|g| (g, Vec::new())), steps().prop_map(|steps| (Greeting::Any, steps))];
    let rest = (replies(), prop::collection::vec(matchers(), 0..3), prop::collection::vec(bodies(false), 0..2));
    let flags = (any::<bool>(), any::<bool>());
    (texts(), 3_u32..5000, rates(), spans(), scripted, connections(), (subprotocols, flags), rest).prop_map(
        |(
            name,
            count,
            connect_rate,
            connect_timeout,
            (greeting, script),
            connection,
            (subprotocols, (insecure, receives)),
            (replies, ignore, on_close),
        )| {
            ClientGroup {
                name,
                count,
                connect_rate,
                connect_timeout,
                greeting,
                connection,
                behaviour: Behaviour { script, on_close, replies, ignore },
                receives,
                subprotocols,
                insecure,
            }
        },
    )
}

/// Texts with variables, and without.
fn templates(publication: bool) -> impl Strategy<Value = Template> {
    let parts = prop_oneof![
        texts(),
        Just("{client.id}".to_owned()),
        Just("{env.TOKEN|url}".to_owned()),
        Just("{{said}}".to_owned()),
        Just(if publication { "{seq}".to_owned() } else { "{uuid}".to_owned() }),
    ];
    (prop::collection::vec(parts, 0..4), any::<bool>()).prop_filter_map("a template", move |(parts, base64)| {
        let stamp = if base64 { "{stamp|base64}" } else { "{stamp}" };
        let text = format!("{}{}", parts.concat(), if publication { stamp } else { "" });
        Template::parse(&text, &Names::default()).ok()
    })
}

fn bodies(publication: bool) -> impl Strategy<Value = Body> {
    let piece = prop_oneof![templates(publication).prop_map(Piece::Text), prop::collection::vec(any::<u8>(), 0..4).prop_map(Piece::Bytes)];
    let piece = (piece, prop::option::of(prop::sample::select(vec![Count::U8, Count::U16, Count::U32, Count::Varint])))
        .prop_map(|(piece, count)| count.map_or(piece.clone(), |count| Piece::Counted(count, vec![piece])));
    let with_stamp = templates(publication).prop_map(move |t| if publication { vec![Piece::Text(t)] } else { Vec::new() });
    prop_oneof![
        templates(publication).prop_map(Body::Text),
        (prop::collection::vec(piece, 1..3), with_stamp).prop_map(|(mut pieces, stamp)| {
            pieces.extend(stamp);
            Body::Binary(pieces)
        })
    ]
}

fn extracts() -> impl Strategy<Value = Extract> {
    prop_oneof![
        "(/[a-z]{1,3}){0,3}".prop_map(Extract::Json),
        texts().prop_map(|t| Extract::Regex(Pattern::new(&regex::escape(&t)).expect("escaped"))),
        (0_usize..9, 1_usize..9).prop_map(|(from, len)| Extract::Bytes(from, from + len)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<ScriptStep>> {
    let capture =
        prop::option::of(extracts()).prop_map(|e| e.map(|from| Capture { name: "token".into(), slot: 0, from }).into_iter().collect());
    let http = (prop::option::of(templates(false)), spans()).prop_map(|(body, within)| {
        let headers = vec![("x-a".to_owned(), Template::literal("b"))];
        ScriptStep::Http(HttpStep {
            method: "PUT".into(),
            url: Template::literal("http://h/"),
            headers,
            body,
            within,
            captures: Vec::new(),
        })
    });
    prop::collection::vec(
        prop_oneof![
            bodies(false).prop_map(ScriptStep::Send),
            (matchers(), spans(), capture).prop_map(|(matches, within, captures)| ScriptStep::Expect { matches, within, captures }),
            spans().prop_map(ScriptStep::Wait),
            http,
        ],
        1..4,
    )
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    let when = prop_oneof![matchers().prop_map(Trigger::Message), spans().prop_map(Trigger::Every)];
    prop::collection::vec((when, bodies(false)).prop_map(|(when, send)| Reply { when, captures: Vec::new(), send }), 0..3)
}

fn connections() -> impl Strategy<Value = Connection> {
    let auth = prop_oneof![
        templates(false).prop_map(Auth::Bearer),
        (templates(false), templates(false)).prop_map(|(user, password)| Auth::Basic { user, password })
    ];
    let some = || prop::option::of(templates(false));
    let header = prop::option::of("[ -z]{0,9}".prop_map(|s| ("x-h".to_owned(), Template::literal(s.trim()))));
    let pair = || some().prop_map(|t| t.map(|t| ("k".to_owned(), t)).into_iter().collect::<Vec<_>>());
    let proxy = prop_oneof![Just(Proxy::None), Just(Proxy::Environment), Just(Proxy::Url("http://p:1".into()))];
    ((some(), some(), prop::option::of(auth), header), (pair(), pair()), prop::option::of(texts()), any::<bool>(), proxy).prop_map(
        |((path, origin, auth, header), (query, cookies), name, deflate, proxy)| Connection {
            url: None,
            path,
            query,
            headers: header.into_iter().collect(),
            cookies,
            origin,
            auth,
            host: name.clone(),
            sni: name.clone(),
            tls_roots: name.clone(),
            tls_client: name.map(|n| (n.clone(), n)),
            deflate,
            proxy,
        },
    )
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let carrier = prop::sample::select(vec![Carrier::Plain, Carrier::Base64, Carrier::Hex]);
    let receive = prop::option::of(prop::sample::select(vec![Encoding::Text, Encoding::Binary]));
    (
        prop::option::of(bodies(true)),
        carrier,
        prop::option::of(matchers()),
        prop::option::of(matchers()),
        prop::option::of("[\\n,]{1,2}"),
        receive,
    )
        .prop_filter_map("not ambiguous", |(publish, carrier, matches, ack, split, receive)| {
            let ambiguous = ack.as_ref().zip(matches.as_ref()).is_some_and(|(ack, matches)| ack.surely_matches_all_of(matches));
            (!ambiguous).then_some(Dialect { publish, carrier, matches, ack, split, receive })
        })
}

fn publishings() -> impl Strategy<Value = Publish> {
    let pace = prop_oneof![
        rates().prop_map(|rate| Pace::Constant { rate }),
        (rates(), rates()).prop_map(|(from, to)| Pace::Ramp { from, to }),
        prop::collection::vec((rates(), spans()).prop_map(|(rate, span)| Step { rate, span }), 1..4)
            .prop_map(|steps| Pace::Steps { steps }),
        (1_u32..100, spans()).prop_map(|(size, every)| Pace::Burst { size, every }),
        rates().prop_map(|rate| Pace::Poisson { rate }),
        prop::option::of(rates()).prop_map(|rate| Pace::Closed { rate }),
    ];
    let size = (64_u64..5000, 0_u64..5000).prop_map(|(min, more)| PayloadSize { min: ByteSize(min), max: ByteSize(min + more) });
    (1_u32..4, pace, size, any::<bool>(), any::<bool>()).prop_map(|(publishers, pace, size, binary, others)| Publish {
        publishers,
        group: None,
        via: Via::Socket,
        audience: if others && !matches!(pace, Pace::Closed { .. }) { Audience::Others } else { Audience::All },
        pace,
        size,
        encoding: if binary { Encoding::Binary } else { Encoding::Text },
    })
}

fn checks() -> impl Strategy<Value = Checks> {
    let pong =
        (spans(), prop::option::of((bodies(false), matchers())), any::<bool>()).prop_map(|(within, application, protocol)| PongCheck {
            every: within.times(2),
            within,
            protocol: protocol || application.is_none(),
            application: application.map(|(send, expect)| ApplicationPing { send, expect }),
        });
    let beat = prop_oneof![Just(Beat::ProtocolPing), matchers().prop_map(Beat::Message)];
    let heartbeat = (beat, spans(), any::<bool>()).prop_map(|(beat, tolerance, any)| HeartbeatCheck {
        beat,
        every: tolerance.times(3),
        first: if any { FirstBeat::Any } else { FirstBeat::Period },
        tolerance,
    });
    let order = prop_oneof![Just(None), Just(Some(OrderScope::Publisher)), Just(Some(OrderScope::Total))];
    let share = || (0_u32..=1000).prop_map(|n| f64::from(n) / 1000.0);
    let connect = prop::option::of((share(), prop::option::of(spans())).prop_map(|(min_share, within)| ConnectCheck { min_share, within }));
    let limits = prop::collection::vec(
        (
            prop::sample::select(vec![Metric::Delivery, Metric::Transit, Metric::SendLag, Metric::HeartbeatInterval, Metric::Connect]),
            prop::sample::select(vec![50.0, 5.0, 99.0, 99.9, 99.99, 99.999, 100.0]),
            spans(),
        ),
        0..4,
    )
    .prop_map(|list| {
        let mut limits: Vec<_> =
            list.into_iter().map(|(metric, percentile, at_most)| LatencyLimit { metric, percentile, at_most }).collect();
        limits.sort_by(|a, b| a.metric.cmp(&b.metric).then(a.percentile.total_cmp(&b.percentile)));
        limits.dedup_by(|a, b| a.metric == b.metric && (a.percentile - b.percentile).abs() < 1e-9);
        limits
    });
    let bools = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(spans()));
    let beating = (prop::option::of(pong), prop::option::of(heartbeat)).prop_filter("they look alike", |(pong, heartbeat)| {
        let expected = pong.as_ref().and_then(|p| p.application.as_ref()).map(|ping| Beat::Message(ping.expect.clone()));
        expected.is_none() || expected != heartbeat.as_ref().map(|h| h.beat.clone())
    });
    (bools, order, limits, beating, connect, (spans(), share(), spans())).prop_map(
        |(
            (duplicate, integrity, stray, survival, within),
            order,
            latency,
            (pong, heartbeat),
            connect,
            (late_send, max_late_share, max_loop_lag),
        )| Checks {
            delivery: within.map(|within| DeliveryCheck { within }),
            duplicate,
            order,
            integrity,
            stray,
            latency,
            pong,
            heartbeat,
            survival,
            connect,
            subprotocol: false,
            publish: false,
            feed: None,
            disruption: DisruptionChecks::default(),
            instrument: InstrumentCheck { late_send, max_late_share, max_loop_lag },
        },
    )
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let phases = (spans(), spans(), spans(), spans());
    let url = |text| Target::Url(Address::parse(text, &Names::default()).expect("a URL"));
    let urls = ["wss://example.com:8443/ws?a=b", "ws://h:{env.PORT}/{{room}}/{room}?a={env.TOKEN}"];
    let target = prop_oneof![Just(Target::BuiltIn), prop::sample::select(urls.to_vec()).prop_map(url)];
    let rooms = prop::option::of(prop_oneof![
        (1_u32..9).prop_map(|count| Rooms { count, by: RoomsBy::RoundRobin }),
        (1_u32..9, 1_u32..30).prop_map(|(count, skew)| Rooms { count, by: RoomsBy::Zipf { skew: f64::from(skew) / 10.0 } }),
    ]);
    let feeder = prop::option::of(
        (texts(), prop::sample::select(vec![FeederOrder::Sequential, FeederOrder::Circular, FeederOrder::Random]))
            .prop_map(|(file, order)| Feeder { file, order, rows: None }),
    );
    let vars = prop::option::of((templates(false), 0..4)).prop_map(|v| {
        let variable = |(of, kind): (Template, i32)| {
            let compute =
                [None, Some(Compute::Md5), Some(Compute::Sha256), Some(Compute::HmacSha256(Template::literal("k")))][kind as usize].clone();
            Variable { name: "v".into(), of, compute }
        };
        v.map(variable).into_iter().collect::<Vec<_>>()
    });
    let head = (texts(), prop::option::of(texts()), target, prop::collection::vec(groups(), 1..3));
    let feed = (prop::option::of(extracts()), any::<bool>(), spans(), prop::option::of((spans(), any::<bool>())));
    let said = prop_oneof![publishings().prop_map(|p| (Some(p), None)), feed.prop_map(|f| (None, Some(f))), Just((None, None))];
    let via = (any::<bool>(), any::<bool>(), templates(true));
    (head, said, via, phases, checks(), dialects(), (rooms, feeder, vars, prop::option::of(matchers()))).prop_map(
        |(
            (name, description, target, mut groups),
            (mut publish, feeding),
            (http, grouped, body),
            (warm_up, steady, drain, ramp_limit),
            mut checks,
            mut dialect,
            rest,
        )| {
            let (rooms, feeder, vars, looks) = rest;
            for (i, group) in groups.iter_mut().enumerate() {
                group.name = format!("{}{i}", group.name);
            }
            groups[0].receives = true;
            if let Some(publish) = &mut publish {
                publish.group = grouped.then_some(0);
                if http {
                    let (method, url, within) = ("POST".into(), Template::literal("https://h/{stamp.len}"), Span::from_secs(1));
                    publish.via = Via::Http(HttpPublish { method, url, headers: Vec::new(), body, within });
                    dialect.publish = None;
                }
                if dialect.publish.as_ref().is_some_and(|b| !b.is_text()) {
                    publish.encoding = Encoding::Binary;
                }
            }
            checks.publish = http && publish.is_some();
            checks.subprotocol = groups.iter().any(|g| !g.subprotocols.is_empty());
            let mut feed = None;
            if let Some((id, unique, built_in, cadence)) = feeding {
                checks.integrity = false;
                checks.latency.retain(|l| matches!(l.metric, Metric::HeartbeatInterval | Metric::Connect));
                checks.latency.push(LatencyLimit { metric: Metric::Spread, percentile: 99.0, at_most: built_in });
                checks.feed =
                    cadence.map(|(every, half)| FeedCheck { every: every.times(2), tolerance: if half { every } else { Span::ZERO } });
                // Against a server elsewhere, how often the built-in one would broadcast follows from the check.
                let elsewhere = checks.feed.map_or(Span::from_millis(100), |c| c.every);
                feed = Some(Feed { id, unique, built_in: if target == Target::BuiltIn { built_in } else { elsewhere } });
            }
            if publish.is_none() && feed.is_none() {
                checks = Checks { delivery: None, duplicate: false, order: None, integrity: false, ..checks };
                checks.latency.retain(|l| matches!(l.metric, Metric::HeartbeatInterval | Metric::Connect));
            }
            let beat = checks.heartbeat.as_ref().map(|h| h.beat.clone()).or(looks.map(Beat::Message));
            let drain = checks.delivery.map_or(drain, |d| drain.max(d.within));
            let phases = Phases { warm_up, steady, drain, ramp_limit };
            Scenario {
                name,
                description,
                target,
                groups,
                publish,
                phases,
                checks,
                dialect,
                feed,
                beat,
                rooms,
                feeder,
                vars,
                disrupt: Vec::new(),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_scenario_reads_back_from_its_own_text(scenario in scenarios()) {
        let text = scenario.to_toml();
        match parse(&text, "again.toml") {
            Ok(again) => prop_assert_eq!(again, scenario, "{}", text),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,200}") {
        if let Err(error) = parse(&text, "strange.toml") {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_scenario_with_bytes_changed_is_refused_in_peace(place in 0..EXAMPLE.len(), with in "[\\x00-\\x7f]{0,3}") {
        let mut text = EXAMPLE.to_owned();
        if text.is_char_boundary(place) && text.is_char_boundary(place + 1) {
            text.replace_range(place..=place, &with);
        }
        if let Err(error) = parse(&text, "changed.toml") {
            prop_assert!(!error.problems.is_empty() && !error.to_string().is_empty());
        }
    }
}
