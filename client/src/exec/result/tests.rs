//! The JSON, field by field.

use super::*;
use rex_client::{Alarm, Event, Level, LimitName, Limits, Log, Refusal, RefusalReason, Usage};
use rex_protocol::text::Text;
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    total_ns: 3_000_000,
    script_ns: Some(2_000_000),
    cpu_ns: 1_000_000,
    resident: Some(3 << 20),
    virtual_memory: Some(5 << 20),
    operations: 4,
    changes: 2,
};

fn failed(class: EndClass, message: &str) -> End {
    let script_ns =
        USAGE.script_ns.filter(|_| !matches!(class, EndClass::Compile | EndClass::Arguments | EndClass::Policy));
    let ending = Ending::Failed { class, message: Text::cut(message) };
    End::Outcome(Outcome { ending, usage: Usage { script_ns, ..USAGE } })
}

fn succeeded() -> End {
    End::Outcome(Outcome { ending: Ending::Succeeded, usage: USAGE })
}

fn record() -> Record {
    let mut record = Record::default();
    record.add(Event::Output(b"o\xc3".to_vec()));
    record.add(Event::Output(b"\xa9".to_vec()));
    let log = |line, function| Log { level: Level::Info, message: Text::cut("hello"), line, function };
    record.add(Event::Log(1_700_000_000_000_000_005, log(7, None)));
    record.add(Event::Log(1_700_000_000_500_000_000, log(0, Some(Text::cut("cat")))));
    let dimensions = vec![(Text::cut("k"), Text::cut("v"))];
    let metric = Metric { name: Text::cut("mine"), value: 2.5, unit: Unit::Percent, dimensions };
    record.add(Event::Metric(1_700_000_000_000_000_000, metric));
    record.add(Event::Alarm(Alarm { kind: Text::cut("first"), details: None }));
    record.add(Event::Alarm(Alarm { kind: Text::cut("second"), details: Some(Text::cut("more")) }));
    record
}

fn text(end: &End, record: &Record) -> String {
    serde_json::to_string(&Report::new(end, record, false, true, Duration::from_nanos(9))).unwrap()
}

fn value(end: &End, record: &Record) -> Value {
    serde_json::from_str(&text(end, record)).unwrap()
}

fn names(value: &Value, list: &str, field: &str) -> Vec<String> {
    let items = value[list].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

fn metrics(value: &Value) -> Vec<String> {
    names(value, "metrics", "metric_name")
}

#[test]
fn a_success_has_every_field_in_its_order() {
    let record = record();
    let text = text(&succeeded(), &record);
    let order = ["{\"output\":", "\"status\":", "\"alarms\":", "\"metrics\":", "\"logs\":"];
    let places: Vec<usize> = order.iter().map(|field| text.find(field).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    let value = value(&succeeded(), &record);
    assert_eq!((&value["output"], &value["status"]), (&json!("oé"), &json!("SUCCESS")));
    assert!(value.get("error").is_none());
    assert_eq!(value["alarms"], json!([{"alarm_type": "first"}, {"alarm_type": "second", "alarm_details": "more"}]));
    assert_eq!(
        value["metrics"][0],
        json!({"metric_name": "mine", "metric_value": 2.5, "metric_unit": "PERCENT", "metric_dimension": {"k": "v"},
            "metric_timestamp": "2023-11-14T22:13:20.000000000Z"})
    );
    assert_eq!(
        value["logs"],
        json!([
            {"attributes": {"timestamp": "2023-11-14 22:13:20.000000005 UTC", "level": "INFO", "message": "hello",
                "line_number": "7"}},
            {"attributes": {"timestamp": "2023-11-14 22:13:20.500000000 UTC", "level": "INFO", "message": "hello",
                "line_number": "0", "rhai_api_name": "cat"}}
        ])
    );
}

#[test]
fn the_metrics_of_a_success_have_values_units_and_dimensions() {
    let value = value(&succeeded(), &Record::default());
    let rows: Vec<(String, f64, String, Value)> = value["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| {
            assert!(metric["metric_timestamp"].as_str().unwrap().ends_with('Z'));
            let text = |field: &str| metric[field].as_str().unwrap().to_owned();
            (
                text("metric_name"),
                metric["metric_value"].as_f64().unwrap(),
                text("metric_unit"),
                metric["metric_dimension"].clone(),
            )
        })
        .collect();
    let expected = [
        ("RexRunnerScriptExecutionSuccessCount", 1.0, "COUNT", "SuccessCount"),
        ("RexRunnerScriptExecutionTime", 2_000_000.0, "TIME", "Duration"),
        ("RexRunnerTotalExecutionTime", 3_000_000.0, "TIME", "Duration"),
        ("RexRunnerProcessCpuUsage", 50.0, "PERCENT", "ProcessMonitoring"),
        ("RexRunnerProcessRssMemoryUsageAverage", 3.0, "MEGABYTES", "ProcessMonitoring"),
        ("RexRunnerProcessVirtualMemoryUsageAverage", 5.0, "MEGABYTES", "ProcessMonitoring"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value, unit, info)| (name.to_string(), *value, unit.to_string(), json!({"MetricInfo": info})))
        .collect();
    assert_eq!(rows, expected);
    assert_eq!((&value["logs"], value.get("alarms")), (&json!([]), None));
}

#[test]
fn without_monitoring_nothing_is_told_of_the_process() {
    let report =
        serde_json::to_value(Report::new(&succeeded(), &Record::default(), false, false, Duration::ZERO)).unwrap();
    assert_eq!(metrics(&report).len(), 3);
}

#[test]
fn a_value_that_is_not_finite_is_null() {
    let mut record = Record::default();
    let metric = Metric { name: Text::cut("m"), value: f64::NAN, unit: Unit::Undefined, dimensions: vec![] };
    record.add(Event::Metric(0, metric));
    let metric = &value(&succeeded(), &record)["metrics"][0];
    assert_eq!((&metric["metric_value"], &metric["metric_dimension"]), (&Value::Null, &json!({})));
}

#[test]
fn each_class_has_its_type_metrics_alarms_and_logs() {
    const FAILURE: &str = "RexRunnerScriptExecutionFailureCount";
    const FAILED: &str = "RexRunnerScriptExecutionFailure";
    const SCRIPT: (&str, &[&str], &[&str], bool) = ("SCRIPT_EXCEPTION", &[FAILURE], &[FAILED], true);
    let denied = (
        "ACCESS_DENIED_EXCEPTION",
        &["RexRunnerPrivilegeEscalationCount"] as &[_],
        &["RexRunnerPrivilegeEscalation"] as &[_],
        true,
    );
    let reserved = ("SCRIPT_EXCEPTION", &[] as &[_], &[FAILED] as &[_], false);
    let invalid = (
        "VALIDATION_EXCEPTION",
        &["RexRunnerScriptArgumentValidationFailureCount"] as &[_],
        &["RexRunnerScriptArgumentValidationFailure"] as &[_],
        false,
    );
    let compile = (
        "SCRIPT_EXCEPTION",
        &["RexRunnerScriptCompilationFailureCount", FAILURE] as &[_],
        &["RexRunnerScriptCompilationFailure", FAILED] as &[_],
        true,
    );
    for (class, (kind, counts, alarms, logs)) in [
        (EndClass::Policy, ("INTERNAL_EXCEPTION", &[] as &[_], &[] as &[_], false)),
        (EndClass::Arguments, invalid),
        (EndClass::Compile, compile),
        (EndClass::Script, SCRIPT),
        (EndClass::Denied, denied),
        (EndClass::AccessRefused, denied),
        (EndClass::ReservedMetric, reserved),
        (EndClass::ReservedAlarm, reserved),
        (EndClass::Limit(LimitName::Time), SCRIPT),
        (EndClass::Terminated, SCRIPT),
        (EndClass::Cancelled, SCRIPT),
        (EndClass::WorkerDied, SCRIPT),
        (EndClass::Violation, SCRIPT),
        (EndClass::Internal, SCRIPT),
    ] {
        let value = value(&failed(class, "why"), &record());
        assert_eq!((&value["status"], &value["output"]), (&json!("ERROR"), &json!("")), "{class:?}");
        assert_eq!(value["error"]["error_type"], json!(kind), "{class:?}");
        let told: Vec<String> = metrics(&value).into_iter().filter(|name| name.ends_with("Count")).collect();
        assert_eq!(told, counts, "{class:?}");
        assert_eq!(names(&value, "alarms", "alarm_type"), [&["first", "second"], alarms].concat(), "{class:?}");
        assert_eq!(value.get("logs").is_some(), logs, "{class:?}");
        assert!(metrics(&value).contains(&"RexRunnerTotalExecutionTime".to_owned()));
    }
}

#[test]
fn messages_and_details_have_their_words() {
    let value_of = |end: &End| value(end, &Record::default());
    let policy = value_of(&failed(EndClass::Policy, "unexpected end"));
    let words =
        "Failed to create Rhai engine: Failed to parse Cedar policy - check syntax and structure: unexpected end";
    assert_eq!(policy["error"]["message"], json!(words));
    let compile = value_of(&failed(EndClass::Compile, "Syntax error: x"));
    assert_eq!(compile["error"]["message"], json!("Syntax error: x"));
    assert_eq!(compile["alarms"][0]["alarm_details"], json!("Failed to compile script: Syntax error: x"));
    assert_eq!(compile["alarms"][1]["alarm_details"], json!("Failed to execute script: Syntax error: x"));
    assert!(!metrics(&compile).contains(&"RexRunnerScriptExecutionTime".to_owned()));
    assert!(metrics(&compile).contains(&"RexRunnerProcessCpuUsage".to_owned()));
    let arguments = value_of(&failed(EndClass::Arguments, "too deep"));
    assert_eq!(arguments["alarms"][0]["alarm_details"], json!("too deep"));
    let reserved = value_of(&failed(EndClass::ReservedAlarm, "reason"));
    assert_eq!(reserved["alarms"][0]["alarm_details"], json!("reason"));
    let input = value_of(&End::Input("Failed to read script file: x: gone".into()));
    let words = "Failed to load input files: Failed to read script file: x: gone";
    assert_eq!(input["error"], json!({"error_type": "COMMUNICATION_EXCEPTION", "message": words}));
    assert_eq!(metrics(&input), ["RexRunnerTotalExecutionTime"]);
    assert_eq!((input.get("logs"), input.get("alarms")), (None, None));
}

#[test]
fn reserved_names_of_the_script_do_not_pass_for_ours() {
    let mut record = record();
    record.add(Event::Alarm(Alarm { kind: Text::cut("REXtrouble"), details: None }));
    let metric = Metric { name: Text::cut("rexM"), value: 1.0, unit: Unit::Count, dimensions: vec![] };
    record.add(Event::Metric(0, metric));
    let value = value(&failed(EndClass::ReservedMetric, "reason"), &record);
    assert!(!metrics(&value).contains(&"rexM".to_owned()));
    assert_eq!(names(&value, "alarms", "alarm_type"), ["first", "second", "RexRunnerScriptExecutionFailure"]);
}

#[test]
fn a_run_lost_after_its_time_is_a_limit() {
    let end = End::Broker(Error::TimeLimit(Box::new(Limits { time_ms: 1500, ..Limits::DEFAULT })));
    assert_eq!(end.exit(), Exit::Limit);
    let value = value(&end, &record());
    assert_eq!(value["error"]["message"], json!("Script terminated: the time limit of 1.5 s was reached"));
    assert_eq!((&value["error"]["error_type"], value.get("logs").is_some()), (&json!("SCRIPT_EXCEPTION"), true));
}

#[test]
fn a_refusal_is_told() {
    let refusal = Refusal { reason: RefusalReason::Busy, message: Text::cut("two runs are enough") };
    let value = value(&End::Broker(Error::Refused(refusal)), &Record::default());
    let message = json!("the run was refused: two runs are enough");
    assert_eq!(value["error"], json!({"error_type": "COMMUNICATION_EXCEPTION", "message": message}));
}

#[test]
fn long_messages_are_cut_by_characters_and_details_never() {
    for character in ["z", "é", "語"] {
        let whole = character.repeat(1024);
        assert_eq!(value(&failed(EndClass::Script, &whole), &Record::default())["error"]["message"], json!(whole));
        let long = character.repeat(1025);
        let value = value(&failed(EndClass::Script, &long), &Record::default());
        assert_eq!(value["error"]["message"], json!(character.repeat(1021) + "..."));
        assert_eq!(value["alarms"][0]["alarm_details"], json!(format!("Failed to execute script: {long}")));
    }
}
