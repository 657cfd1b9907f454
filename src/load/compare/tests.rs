use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    compare: CompareArguments,
}

fn parsed(line: &[&str]) -> Result<CompareArguments, String> {
    let words = std::iter::once("compare").chain(line.iter().copied());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(line.compare)
}

fn plan(line: &[&str]) -> Plan {
    Plan::of(&parsed(line).unwrap()).unwrap()
}

const TARGET: [&str; 4] = ["-t", "tcp://127.0.0.1:9", "-r", "1k"];

#[test]
fn flags_of_a_side_go_over_those_of_both() {
    use tailcut_report::compare::Side;
    let line = [
        &TARGET[..],
        &[
            "--pipeline",
            "2",
            "--a",
            "--pipeline 1",
            "--b",
            "--name 'new-one' --seed 9",
        ],
    ]
    .concat();
    let plan = plan(&line);
    let (a, b) = (&plan.side(Side::A).scenario, &plan.side(Side::B).scenario);
    assert_eq!((a.pipeline, b.pipeline), (1, 2));
    assert_eq!(b.name, "new-one");
    // A pair shares a schedule where its sides share a seed; each pair has one of its own.
    assert_eq!([1, 2].map(|pair| plan.seed(Side::A, pair)), [1, 2]);
    assert_eq!([1, 2].map(|pair| plan.seed(Side::B, pair)), [9, 10]);
}

#[test]
fn two_sides_that_are_the_same_are_told_to_be() {
    let announced = plan(&TARGET).announcement(Path::new("out"));
    assert!(announced.contains("A and B are the same"), "{announced}");
    let line = [&TARGET[..], &["--start-b", "serve"]].concat();
    let announced = plan(&line).announcement(Path::new("out"));
    assert!(
        !announced.contains("the same") && announced.contains("started by `serve`"),
        "{announced}"
    );
}

#[test]
fn bad_values_are_refused_before_anything_runs() {
    for bad in [
        &["-n", "0"][..],
        &["-n", "many"],
        &["--judge", "p0"],
        &["--judge", ""],
        &["--fail-if-worse", "-5%"],
        &["--fail-if-worse", "much"],
        &["--pause", "5"],
        &["a", "b", "c"],
        &["a", "b", "--recordings", "c"],
    ] {
        assert!(parsed(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn a_share_is_a_percentage_or_a_number() {
    assert_eq!(
        (share("5%"), share("0.05"), share("0%")),
        (Ok(0.05), Ok(0.05), Ok(0.0))
    );
    let line = parsed(&["a", "b", "--fail-if-worse"]).unwrap();
    assert_eq!(line.fail_if_worse, Some(0.0));
}
