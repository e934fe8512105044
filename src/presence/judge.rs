//! Evidence in, verdict out. Silence is evidence only if we were able to hear.
//!
//! Pure and total. It does not know clocks, registries or sessions; what follows from a verdict is for others.

use crate::domain::Verdict;

/// What the kernel says of the agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// It is not there any more: this very process, by start time and boot.
    Gone,
    /// It is there, by start time and boot.
    Running,
    /// It is on another machine, or in another pid namespace: our kernel does not know it.
    Elsewhere,
    /// No process was named, or none that we can tell apart from others of that pid.
    Unverifiable,
}

/// What the registry says of the agent's heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lease {
    /// The last one is believed still.
    Held,
    /// The last one is too old.
    Lapsed,
    /// The last one we know is too old, and newer ones could not have been read.
    Unreadable,
}

/// All there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The kernel's word.
    pub process: Process,
    /// The registry's word.
    pub lease: Lease,
    /// The registry was readable, without a break, for one whole TTL until now.
    pub readable_for_a_ttl: bool,
    /// We started, or the machine woke, less than one TTL ago.
    pub just_resumed: bool,
}

/// Is the agent alive? [`Verdict::Unknown`] means: keep the last verdict.
pub fn judge(evidence: Evidence) -> Verdict {
    use {Lease as L, Process as P, Verdict as V};
    let Evidence {
        process,
        lease,
        readable_for_a_ttl,
        just_resumed,
    } = evidence;
    match (process, lease) {
        (P::Gone, _) => V::Crashed, // our own kernel says so
        (P::Running | P::Elsewhere | P::Unverifiable, L::Held) | (P::Running, L::Unreadable) => V::Alive,
        (P::Running, L::Lapsed) if just_resumed => V::Unknown,
        (P::Running, L::Lapsed) => V::Silent, // hung, not dead: say so, do not take its work
        (P::Elsewhere | P::Unverifiable, L::Lapsed) if readable_for_a_ttl && !just_resumed => V::Lost,
        (P::Elsewhere | P::Unverifiable, L::Lapsed | L::Unreadable) => V::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROCESSES: [Process; 4] = [
        Process::Gone,
        Process::Running,
        Process::Elsewhere,
        Process::Unverifiable,
    ];
    const LEASES: [Lease; 3] = [Lease::Held, Lease::Lapsed, Lease::Unreadable];

    #[test]
    fn every_combination_has_its_verdict() {
        use {Lease as L, Process as P, Verdict as V};
        // Columns: we heard all along; we just resumed; the registry was away; both.
        let table = [
            (P::Gone, L::Held, [V::Crashed; 4]),
            (P::Gone, L::Lapsed, [V::Crashed; 4]),
            (P::Gone, L::Unreadable, [V::Crashed; 4]),
            (P::Running, L::Held, [V::Alive; 4]),
            (
                P::Running,
                L::Lapsed,
                [V::Silent, V::Unknown, V::Silent, V::Unknown],
            ),
            (P::Running, L::Unreadable, [V::Alive; 4]),
            (P::Elsewhere, L::Held, [V::Alive; 4]),
            (
                P::Elsewhere,
                L::Lapsed,
                [V::Lost, V::Unknown, V::Unknown, V::Unknown],
            ),
            (P::Elsewhere, L::Unreadable, [V::Unknown; 4]),
            (P::Unverifiable, L::Held, [V::Alive; 4]),
            (
                P::Unverifiable,
                L::Lapsed,
                [V::Lost, V::Unknown, V::Unknown, V::Unknown],
            ),
            (P::Unverifiable, L::Unreadable, [V::Unknown; 4]),
        ];
        assert_eq!(table.len(), PROCESSES.len() * LEASES.len());
        for (process, lease, verdicts) in table {
            let columns = [(true, false), (true, true), (false, false), (false, true)];
            for ((readable_for_a_ttl, just_resumed), verdict) in columns.into_iter().zip(verdicts) {
                let evidence = Evidence {
                    process,
                    lease,
                    readable_for_a_ttl,
                    just_resumed,
                };
                assert_eq!(judge(evidence), verdict, "{evidence:?}");
            }
        }
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let (processes, leases) = (
            prop::sample::select(&PROCESSES[..]),
            prop::sample::select(&LEASES[..]),
        );
        (processes, leases, any::<bool>(), any::<bool>()).prop_map(
            |(process, lease, readable_for_a_ttl, just_resumed)| Evidence {
                process,
                lease,
                readable_for_a_ttl,
                just_resumed,
            },
        )
    }

    /// How bad a verdict is for its session.
    fn severity(verdict: Verdict) -> u8 {
        match verdict {
            Verdict::Alive | Verdict::Unknown => 0,
            Verdict::Silent => 1,
            Verdict::Lost | Verdict::Crashed => 2,
        }
    }

    /// The verdict that stands after this evidence.
    fn after(last: Verdict, evidence: Evidence) -> Verdict {
        match judge(evidence) {
            Verdict::Unknown => last,
            verdict => verdict,
        }
    }

    fn verdicts() -> impl Strategy<Value = Verdict> {
        let all = [
            Verdict::Alive,
            Verdict::Silent,
            Verdict::Crashed,
            Verdict::Lost,
            Verdict::Unknown,
        ];
        prop::sample::select(all.to_vec())
    }

    proptest! {
        #[test]
        fn knowing_less_never_makes_a_verdict_worse(known in evidence(), last in verdicts()) {
            let worst = severity(after(last, known)).max(severity(last));
            for less in [
                Evidence { lease: if known.lease == Lease::Lapsed { Lease::Unreadable } else { known.lease }, ..known },
                Evidence { readable_for_a_ttl: false, ..known },
                Evidence { just_resumed: true, ..known },
                Evidence { process: if known.process == Process::Gone { Process::Unverifiable } else { known.process },
                           lease: Lease::Unreadable, ..known },
            ] {
                prop_assert!(severity(after(last, less)) <= worst, "{known:?} -> {less:?}");
            }
        }

        #[test]
        fn a_running_process_is_never_given_up(known in evidence(), last in verdicts()) {
            let running = Evidence { process: Process::Running, ..known };
            let stands = after(last, running);
            prop_assert!(stands == last || severity(stands) < 2);
        }

        #[test]
        fn nobody_is_lost_while_we_could_not_hear(known in evidence()) {
            let deaf = !known.readable_for_a_ttl || known.just_resumed || known.lease != Lease::Lapsed;
            prop_assert!(!deaf || judge(known) != Verdict::Lost);
        }

        #[test]
        fn one_heartbeat_outweighs_everything_but_a_dead_process(known in evidence()) {
            let heard = Evidence { lease: Lease::Held, ..known };
            let expected = if known.process == Process::Gone { Verdict::Crashed } else { Verdict::Alive };
            prop_assert_eq!(judge(heard), expected);
        }
    }
}
