//! Templates: what becomes of variables, and what is refused.

use super::*;

fn names() -> Names {
    let token = Definition { of: Template::literal("body"), how: Computation::Md5 };
    let key = Template::literal("key");
    let signed = Definition { of: Template::literal("The quick brown fox jumps over the lazy dog"), how: Computation::HmacSha256 { key } };
    Names {
        captures: vec!["sid".into()],
        defined: BTreeMap::from([("sum".into(), Arc::new(token)), ("sign".into(), Arc::new(signed))]),
        columns: Some(vec!["user".into()]),
    }
}

fn render(source: &str) -> String {
    let mut captured = Captured::default();
    captured.set(0, "a\"b/c".into());
    let env = BTreeMap::from([("HOME".to_owned(), "home".to_owned())]);
    let vars = Vars {
        client: ConnId(7),
        index: 2,
        room: "lobby",
        payload: b"wsb1xyz",
        now_ms: 12_345,
        env: &env,
        captured: &captured,
        ..Vars::default()
    };
    Template::parse(source, &names()).unwrap_or_else(|e| panic!("{e:?}")).text(&vars).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn variables_become_their_values() {
    for (source, rendered) in [
        ("plain", "plain"),
        (r#"{"id":{client.id},"room":"{room}","n":{}}"#, r#"{"id":7,"room":"lobby","n":{}}"#),
        ("{client.index}/{now_s}/{now_ms}", "2/12/12345"),
        ("PUB {room} {stamp.len}\r\n{stamp}\r\n", "PUB lobby 7\r\nwsb1xyz\r\n"),
        ("subscription{{said}}", "subscription{said}"),
        ("{{\"a\":1}}", "{{\"a\":1}}"),
        ("{ room } {}{", "{ room } {}{"),
        ("{sid|json} {sid|url} {sid|hex}", "a\\\"b/c a%22b%2Fc 6122622f63"),
        ("{stamp|base64}", "d3NiMXh5eg=="),
        ("{env.HOME}", "home"),
        ("{sum}", "841a2d689ad86bd1611447453c22c6fc"),
        ("{sign}", "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"),
        ("{uuid}", "00000000-0000-4000-8000-000000000000"),
    ] {
        assert_eq!(render(source), rendered, "{source}");
    }
}

#[test]
fn what_nobody_knows_is_an_error_with_a_remedy() {
    let wrong = |source: &str| Template::parse(source, &names()).expect_err(source);
    assert_eq!(wrong("x {rooom}").piece, "{rooom}");
    assert!(wrong("{rooom}").help.contains("{room}"));
    assert!(wrong("{said}").help.contains("{{said}}"));
    assert!(wrong("{room|rot13}").what.contains("rot13"));
}

#[test]
fn a_value_that_is_missing_is_said_to_be() {
    for source in ["{sid}", "{env.NOPE}", "{user}"] {
        let template = Template::parse(source, &names()).expect("known names");
        assert!(template.render(&Vars::default()).is_err(), "{source}");
    }
}
