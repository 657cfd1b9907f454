//! The doctor's answer as text for a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::checks::{Area, Check, Need, Outcome};
use super::doctor::{Doctor, Measured};
use super::hit_cost::{AttachedBy, HitCosts};
use super::series::{Possible, Series};

const AREAS: [(Area, &str); 4] = [
    (Area::Kernel, "kernel"),
    (Area::Permissions, "permissions"),
    (Area::Machine, "machine"),
    (Area::Process, "process"),
];

impl Doctor {
    /// Aligned lines; with colours if the terminal is to show them.
    pub fn text(&self, colour: bool) -> String {
        let mut page = Page {
            text: String::new(),
            colour,
            width: self.width(),
            cures: Vec::new(),
        };
        for (area, title) in AREAS {
            let checks: Vec<&Check> = self.checks.iter().filter(|one| one.area == area).collect();
            if !checks.is_empty() {
                page.title(title);
            }
            for check in checks {
                page.check(check);
            }
        }
        page.title("cost of one hit");
        match &self.hit_costs {
            Measured::Costs(costs) => page.costs(costs),
            Measured::NotMeasured(reason) => page.line(&Mark::UNKNOWN, "not measured", reason),
        }
        page.title("series");
        for series in &self.series {
            page.series(series);
        }
        let mark = if self.verdict.can_trace {
            Mark::OK
        } else {
            Mark::NO
        };
        let sentence = page.styled(mark.style.bold(), &self.verdict.sentence);
        page.text.push_str(&format!("\n{sentence}\n"));
        page.text
    }

    fn width(&self) -> usize {
        let names = self.checks.iter().map(|check| check.name.len());
        names.chain(COST_NAMES.map(str::len)).max().unwrap_or(0)
    }
}

/// The word before a line, and its colour.
struct Mark {
    word: &'static str,
    style: Style,
}

impl Mark {
    const OK: Self = Self::new("ok", AnsiColor::Green);
    const WARN: Self = Self::new("warn", AnsiColor::Yellow);
    const NO: Self = Self::new("no", AnsiColor::Red);
    const UNKNOWN: Self = Self::new("?", AnsiColor::Yellow);
    const UNUSED: Self = Self {
        word: "-",
        style: Style::new().dimmed(),
    };

    const fn new(word: &'static str, colour: AnsiColor) -> Self {
        Self {
            word,
            style: colour.on_default(),
        }
    }

    fn of(check: &Check) -> Self {
        match (check.outcome, check.need) {
            (Outcome::Yes, _) => Self::OK,
            (_, Need::Unused) => Self::UNUSED,
            (Outcome::Unknown, _) => Self::UNKNOWN,
            (Outcome::No, Need::Optional) => Self::WARN,
            (Outcome::No, Need::Required) => Self::NO,
        }
    }
}

/// In the order in which [`Page::costs`] shows them.
const COST_NAMES: [&str; 6] = [
    "5-byte nop",
    "emulated instruction",
    "single-stepped instruction",
    "return, in addition",
    "attach, first place",
    "detach",
];

struct Page {
    text: String,
    colour: bool,
    width: usize,
    /// Shown already: the same command often cures several things.
    cures: Vec<String>,
}

impl Page {
    fn title(&mut self, title: &str) {
        let title = self.styled(Style::new().bold(), title);
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.text.push_str(&format!("{gap}{title}\n"));
    }

    fn line(&mut self, mark: &Mark, name: &str, value: &str) {
        let word = self.styled(mark.style, &format!("{:4}", mark.word));
        let width = self.width;
        let line = format!("  {word}  {name:width$}  {value}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn note(&mut self, note: &str) {
        writeln!(self.text, "        {note}").expect("writing to a String never fails");
    }

    fn check(&mut self, check: &Check) {
        self.line(&Mark::of(check), check.name, &check.found);
        if check.outcome != Outcome::No {
            return;
        }
        if !check.consequence.is_empty() {
            self.note(&check.consequence);
        }
        if let Some(cure) = check
            .cure
            .as_ref()
            .filter(|cure| !self.cures.contains(cure))
        {
            let command = self.styled(Style::new().bold(), cure);
            self.note(&format!("fix: {command}"));
            self.cures.push(cure.clone());
        }
    }

    fn costs(&mut self, costs: &HitCosts) {
        let nop = if costs.nop5_is_a_call {
            "patched into a call by the kernel"
        } else {
            "a trap: the kernel does not patch it into a call (Linux 6.18 on x86-64 does)"
        };
        let way = match costs.attached_by {
            AttachedBy::OneLink => "four places at once, one link each",
            AttachedBy::PerfEvents => "four perf events at once",
        };
        let values = [
            format!("{}  {nop}", microseconds(costs.nop5)),
            format!("{}  such as push", microseconds(costs.emulated)),
            format!(
                "{}  such as test or lea",
                microseconds(costs.single_stepped)
            ),
            microseconds(costs.return_extra),
            format!("{:5.1} ms", costs.attach_ms),
            format!("{:5.1} ms  {way}", costs.detach_ms),
        ];
        for (name, value) in COST_NAMES.iter().zip(values) {
            let is_call = *name != COST_NAMES[0] || costs.nop5_is_a_call;
            let mark = if is_call { Mark::OK } else { Mark::WARN };
            self.line(&mark, name, &value);
        }
    }

    fn series(&mut self, series: &Series) {
        let mark = match series.possible {
            Possible::Yes => Mark::OK,
            Possible::Partly => Mark::WARN,
            Possible::No => Mark::NO,
        };
        self.line(&mark, series.name, &series.reason);
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.into()
        }
    }
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:5.2} us", nanoseconds / 1e3)
}
