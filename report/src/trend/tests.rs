use super::*;
use crate::compare::simulated::side;

const USUAL: [f64; 6] = [1.0, 1.04, 0.97, 1.02, 1.05, 0.99];
const AGAIN: [f64; 6] = [1.03, 0.98, 1.01, 1.06, 1.0, 0.96];
const SLOWER: [f64; 6] = [1.31, 1.36, 1.27, 1.33, 1.29, 1.35];

/// Runs of one version, begun at that second.
fn set(version: &str, begun_s: u64, factors: &[f64]) -> sets::Set {
    let mut runs = side(version, factors);
    for (index, run) in runs.iter_mut().enumerate() {
        run.meta.variant = "orders".to_owned();
        run.meta.clock.unix_ns = begun_s * 1_000_000_000 + index as u64;
        run.meta.clock.monotonic_ns = run.meta.clock.unix_ns;
    }
    sets::Set {
        label: version.to_owned(),
        variant: "orders".to_owned(),
        runs,
    }
}

fn outcomes(trend: &Trend) -> Vec<Option<StepOutcome>> {
    let points = trend.groups.iter().flat_map(|group| &group.points);
    points
        .map(|point| point.step.as_ref().map(|step| step.outcome))
        .collect()
}

#[test]
fn the_step_that_made_it_slower_is_marked_and_no_other() {
    let trend = Trend::of(vec![
        set("a1", 1, &USUAL),
        set("b2", 2, &AGAIN),
        set("c3", 3, &SLOWER),
    ])
    .expect("three versions");
    assert_eq!(
        outcomes(&trend),
        [
            None,
            Some(StepOutcome::NoDifference),
            Some(StepOutcome::Worse)
        ]
    );
    let step = trend.groups[0].points[2]
        .step
        .as_ref()
        .expect("the third has one");
    // Complete separation, for two steps.
    assert_eq!(step.p.map(|p| (p * 924.0).round()), Some(4.0));
    let row = &trend.table().rows[2];
    assert_eq!((row[0].as_str(), row[6].as_str()), ("c3", "worse"));
}

#[test]
fn many_steps_take_more_runs_each() {
    let few: Vec<sets::Set> = (0..8)
        .map(|index| {
            let factors = if index < 7 { &USUAL[..5] } else { &SLOWER[..5] };
            set(
                &char::from(b'a' + index).to_string(),
                u64::from(index) + 1,
                factors,
            )
        })
        .collect();
    // 2 of 252 orders, times seven steps, is 0.056.
    let trend = Trend::of(few).expect("eight versions");
    assert!(
        !outcomes(&trend).contains(&Some(StepOutcome::Worse)),
        "{:?}",
        outcomes(&trend)
    );
}

#[test]
fn another_machine_begins_a_group_of_its_own_and_the_page_says_so() {
    let mut there = set("b2", 2, &SLOWER);
    for run in &mut there.runs {
        run.meta.host.cpu_model = "another".to_owned();
    }
    let trend = Trend::of(vec![set("a1", 1, &USUAL), there, set("c3", 3, &AGAIN)]).expect("three");
    assert_eq!(trend.groups.len(), 2);
    // The step leads over the set of the other machine.
    assert_eq!(
        outcomes(&trend),
        [None, Some(StepOutcome::NoDifference), None]
    );
    assert!(
        trend.notes[0].contains("nothing is compared across them"),
        "{:?}",
        trend.notes
    );
    assert!(trend.table().rows[2][7].contains("another"));
}

#[test]
fn too_few_runs_and_missed_schedules_are_undecided_with_the_reason() {
    let mut missed = set("c3", 3, &[0.5, 0.51, 0.52, 0.53, 0.54, 0.55]);
    for run in &mut missed.runs {
        run.meta
            .result
            .as_mut()
            .expect("it has ended")
            .schedule_kept = false;
    }
    let trend =
        Trend::of(vec![set("a1", 1, &USUAL[..3]), set("b2", 2, &SLOWER[..3])]).expect("two");
    assert_eq!(outcomes(&trend)[1], Some(StepOutcome::Undecided));
    assert!(trend.table().rows[1][6].contains("3 + 3 runs"));
    let trend = Trend::of(vec![set("b2", 2, &USUAL), missed]).expect("two");
    assert_eq!(outcomes(&trend)[1], Some(StepOutcome::Undecided));
    assert!(trend.table().rows[1][3].starts_with("≥ "));
}

#[test]
fn one_version_is_no_trend() {
    assert_eq!(Trend::of(vec![set("a1", 1, &USUAL)]), None);
}

#[test]
fn the_picture_has_the_pages_colours_and_escapes_its_labels() {
    let trend = Trend::of(vec![set("<b>a1</b>", 1, &USUAL), set("b2", 2, &SLOWER)]).expect("two");
    let svg = trend.groups[0].chart().expect("two versions");
    assert!(svg.starts_with("<svg") && svg.contains("currentColor") && !svg.contains("#010203"));
    assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;"), "{svg}");
}
