//! Weighing the sites of a function.

use super::body::Code;
use super::entry::{self, Walk};
use super::kernel::{HitCost, HitCosts, KernelRules};
use super::{ExitSite, Plan, Purpose, Returns, Site, SiteError, returns};

impl Code {
    /// The cheapest way to probe this function so that the arguments `wanted` (from 0) are seen
    /// at its start, and for [`Purpose::Latency`] its end too.
    ///
    /// Between sites of one cost, arguments in their own registers are preferred, then the
    /// nearest to the entry.
    ///
    /// # Errors
    ///
    /// No instruction fits. The first one does unless the kernel refuses it, or, in a Go function,
    /// it is passed again when the stack grows. Of a Go function, also that its ways out cannot be
    /// probed: there is no return probe to fall back on.
    pub fn plan(
        &self,
        wanted: &[u8],
        purpose: Purpose,
        rules: KernelRules,
        costs: &HitCosts,
    ) -> Result<Plan, SiteError> {
        let walk = entry::walk(self, wanted, rules);
        let planner = Planner {
            code: self,
            walk: &walk,
            costs,
        };
        let exits = match purpose {
            Purpose::EntryOnly => None,
            Purpose::Latency => Some(returns::exits(self, rules)),
        };
        let plan = match &exits {
            None => planner.entry_only(),
            Some(exits) => planner.latency(exits),
        };
        plan.ok_or_else(|| SiteError::NoSite {
            function: self.name.clone(),
            reason: match exits {
                _ if walk.sites.is_empty() => {
                    format!("the walk from its entry ended at {}", walk.stopped)
                }
                Some(Err(reason)) if !self.convention.allows_return_probes() => format!(
                    "the kernel's return probe would crash a Go program, and its ways out cannot be probed, since {reason}"
                ),
                _ => "no site sees the end of a call".to_owned(),
            },
        })
    }
}

struct Planner<'a> {
    code: &'a Code,
    walk: &'a Walk,
    costs: &'a HitCosts,
}

impl Planner<'_> {
    /// The best of those sites that `fit`.
    fn best(&self, fit: impl Fn(&Site) -> bool) -> Option<&Site> {
        let sites = self.walk.sites.iter().filter(|site| fit(site));
        sites.min_by_key(|site| {
            (
                self.costs.of(site.cost),
                !self.arguments_are_at_home(site),
                site.from_entry,
            )
        })
    }

    fn entry_only(&self) -> Option<Plan> {
        let entry = self.best(|_| true)?;
        Some(Plan {
            purpose: Purpose::EntryOnly,
            entry: entry.clone(),
            returns: Returns::NotSeen,
            predicted_nanoseconds: self.costs.of(entry.cost),
            reason: self.why(entry),
            alternatives: self.entry_instruction(entry, 0).into_iter().collect(),
        })
    }

    fn latency(&self, exits: &Result<Vec<ExitSite>, String>) -> Option<Plan> {
        let allowed = self.code.convention.allows_return_probes();
        let at_entry = self.best(|site| allowed && site.stack_offset == 0);
        let with_return_probe = at_entry.map(|entry| {
            let predicted = self
                .costs
                .of(entry.cost)
                .saturating_add(self.costs.return_probe);
            (entry, predicted)
        });
        let with_exits = self
            .best(|_| true)
            .zip(exits.as_ref().ok())
            .map(|(entry, exits)| {
                let exit = exits.iter().map(|exit| self.costs.of(exit.cost)).max();
                let predicted = self.costs.of(entry.cost).saturating_add(exit.unwrap_or(0));
                (entry, exits, predicted)
            });
        let mut alternatives: Vec<String> = Vec::new();
        let exits_are_cheaper = match (with_return_probe, with_exits) {
            (Some((_, probe)), Some((_, _, exits))) => exits < probe,
            (None, Some(_)) => true,
            _ => false,
        };
        match exits {
            Ok(exits) if exits_are_cheaper => {
                if let Some((entry, predicted)) = with_return_probe {
                    alternatives.push(format!(
                        "a return probe works only where nothing is pushed yet: at +{} `{}` ({}) it \
                         would cost {}",
                        entry.from_entry,
                        entry.instruction,
                        entry.cost,
                        microseconds(predicted)
                    ));
                }
                alternatives.push(count_of(exits));
            }
            Ok(_) => {
                if let Some((entry, exits, predicted)) = with_exits {
                    alternatives.push(format!(
                        "a probe at +{} `{}` and at the ways out ({}) would cost {}",
                        entry.from_entry,
                        entry.instruction,
                        count_of(exits),
                        microseconds(predicted)
                    ));
                }
            }
            Err(reason) => alternatives.push(format!("no probes at the ways out, since {reason}")),
        }
        let cheapest = self.best(|_| true)?;
        let (entry, returns, predicted) = if exits_are_cheaper {
            let (entry, exits, predicted) = with_exits?;
            (entry, Returns::Sites(exits.clone()), predicted)
        } else {
            let (entry, predicted) = with_return_probe?;
            (entry, Returns::ReturnProbe, predicted)
        };
        if self.costs.of(cheapest.cost) < self.costs.of(entry.cost) {
            alternatives.push(format!(
                "without durations: +{} `{}` ({}), {}",
                cheapest.from_entry,
                cheapest.instruction,
                cheapest.cost,
                microseconds(self.costs.of(cheapest.cost))
            ));
        }
        alternatives.extend(self.entry_instruction(entry, self.costs.return_probe));
        Some(Plan {
            purpose: Purpose::Latency,
            entry: entry.clone(),
            returns,
            predicted_nanoseconds: predicted,
            reason: self.why(entry),
            alternatives,
        })
    }

    fn why(&self, entry: &Site) -> String {
        let mut reason = match entry.from_entry {
            0 => format!("the first instruction is {}", entry.cost),
            _ => format!(
                "every call passes {} instructions up to +{} once",
                entry.skipped.len() + 1,
                entry.from_entry
            ),
        };
        if entry.cost == HitCost::SingleStepped {
            reason.push_str(&format!("; nothing cheaper up to {}", self.walk.stopped));
        }
        if !self.arguments_are_at_home(entry) {
            reason.push_str("; an argument is in another register by then");
        }
        if self.code.targets.contains(&self.code.start)
            && self.code.convention.allows_return_probes()
        {
            reason.push_str("; the function jumps back to its own start, which counts as a call");
        }
        if !self.code.bounded {
            reason.push_str("; it is not known where the function ends, so a later branch to before the site would go unseen");
        }
        reason
    }

    fn arguments_are_at_home(&self, site: &Site) -> bool {
        let home = |argument| self.code.convention.argument(argument);
        let mut places = site.arguments.iter();
        places.all(|place| home(place.argument) == Some(place.register))
    }

    /// What the usual place, the first instruction, would cost.
    fn entry_instruction(&self, chosen: &Site, more: u32) -> Option<String> {
        let first = self
            .walk
            .sites
            .first()
            .filter(|first| first.from_entry == 0)?;
        (chosen.from_entry != 0).then(|| {
            format!(
                "the first instruction `{}` is {}: {}",
                first.instruction,
                first.cost,
                microseconds(self.costs.of(first.cost).saturating_add(more))
            )
        })
    }
}

fn count_of(exits: &[ExitSite]) -> String {
    let dear = exits
        .iter()
        .filter(|exit| exit.cost > HitCost::Emulated)
        .count();
    let sites = if exits.len() == 1 { "site" } else { "sites" };
    format!("{} {sites}, {dear} of them single-stepped", exits.len())
}

/// `13.2 us`.
pub(in crate::binary) fn microseconds(nanoseconds: u32) -> String {
    format!("{:.1} us", f64::from(nanoseconds) / 1000.0)
}
