//! Scripts that cannot be finished: the client is told of, with the step and what came instead, and the others go on.

use super::{Desk, not_passed};

/// Three clients, and one whose script is to be filled in.
fn beside(step: &str) -> String {
    format!(
        r#"
name = "beside"
[[clients]]
name = "good"
count = 3
[[clients]]
name = "bad"
count = 1
script = [{step}]
[publish]
pace = "40/s"
[phases]
steady = "500ms"
drain = "5s"
[checks.delivery]
within = "5s"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#
    )
}

#[test]
fn one_client_that_never_is_ready_is_told_of_and_does_not_hold_up_the_others() {
    let desk = Desk::new();
    for (step, told) in [
        (
            r#"{ expect = "JOINED {room}", within = "300ms" }"#,
            r#"step 1 of 1 of the script: expected exactly "JOINED 1" within 300ms, and it did not come; the last frames seen: "something""#,
        ),
        (
            r#"{ wait = "10ms" }, { expect = { json = { id = "u{client.index}" } }, within = "300ms" }"#,
            r#"step 2 of 2 of the script: expected JSON with {"id":"u0"} within 300ms, and it did not come; the last frames seen: "#,
        ),
        (
            r#"{ expect = { contains = "some" }, capture = { sid = "/id" } }"#,
            r#"step 1 of the script: the message has no `sid` to capture: "something""#,
        ),
    ] {
        let ran = desk.run(&["run", desk.scenario(&beside(step)), "--format", "json"]);
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let report = ran.json();
        assert_eq!(not_passed(&report), ["connect fail"], "{step}: the others had a whole run: {}", ran.out);
        assert_eq!(report["summary"]["copies"]["owed"], 20 * 3, "{step}: nothing is owed to it");
        let finding = report["findings"].as_array().expect("findings").iter().find(|f| f["check"] == "connect").expect("connect");
        assert_eq!(finding["observed"], "4 opened (100 %); 1 never ready");
        let what = finding["witnesses"][0]["what"].as_str().expect("a witness");
        assert!(what.contains(told), "{what}");
    }
}
