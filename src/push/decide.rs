//! Who is told what: pure.

use crate::domain::{Device, Millis};

use super::{choice::Kinds, news::News};

/// What becomes of one piece of news for one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Tell,
    /// Its page is on the screen, and shows it.
    Sees,
    /// It may not know, or does not want to.
    Not,
}

/// Decides. `looks`: the device's page is visible at this moment, over a living socket; to be connected is not enough.
pub fn verdict(news: &News, device: &Device, kinds: Kinds, looks: bool) -> Verdict {
    let project = news.project().map(|project| project.as_str());
    let allowed = news.scope().is_none_or(|scope| device.may(scope, project));
    let wanted = news.kind().is_none_or(|kind| kinds.want(kind));
    let its_own = match news {
        News::Mail { sender, .. } => sender.as_ref() == Some(&device.id),
        News::Paired { device: paired, .. } => *paired == device.id,
        _ => false,
    };
    // Who else may come in is for those who may see everything.
    let guest = matches!(news, News::Paired { .. }) && !device.projects.is_empty();
    if !allowed || !wanted || its_own || guest {
        return Verdict::Not;
    }
    match news {
        // It was asked for.
        News::Test => Verdict::Tell,
        // What is over among them: a visible page takes its notification away itself.
        _ if looks => Verdict::Sees,
        _ => Verdict::Tell,
    }
}

/// What came together while the machine slept, in one piece if there is more than one.
pub fn after_sleep(mut news: Vec<News>, from: Millis, until: Millis) -> Vec<News> {
    if news.len() < 2 {
        return news;
    }
    let count = |which: fn(&News) -> bool| news.iter().filter(|news| which(news)).count();
    let waiting = count(|news| matches!(news, News::Asks { .. }));
    let failed = count(|news| matches!(news, News::Failed { .. }));
    let over = |news: &News| matches!(news, News::Over { .. });
    let others = news.len() - waiting - failed - count(over);
    // What takes something back stays: it is about what was shown before.
    news.retain(over);
    news.push(News::Woke {
        from,
        until,
        waiting,
        failed,
        others,
    });
    news
}

#[cfg(test)]
mod tests {
    use crate::domain::{Id, Scopes};

    use super::{super::news::About, *};

    fn device(scopes: &str, projects: &[&str]) -> Device {
        Device {
            id: Id::parse("dev_1").unwrap(),
            name: "phone".into(),
            scopes: Scopes::parse(scopes).unwrap(),
            projects: projects.iter().map(|id| Id::parse(id).unwrap()).collect(),
            paired_at: Millis(1),
            last_seen: Millis(1),
        }
    }

    fn about() -> About {
        About {
            session: Id::parse("sess_1").unwrap(),
            project: Id::parse("p1").unwrap(),
            name: "Ada".into(),
        }
    }

    fn asks() -> News {
        News::Asks {
            about: about(),
            request: Id::parse("req_1").unwrap(),
            message: None,
        }
    }

    fn over() -> News {
        News::Over {
            about: about(),
            request: Id::parse("req_1").unwrap(),
            by: None,
        }
    }

    fn mail(sender: Option<&str>) -> News {
        News::Mail {
            mail: Id::parse("mail_1").unwrap(),
            thread: Id::parse("mail_1").unwrap(),
            project: Id::parse("p1").unwrap(),
            from: "sess_1".into(),
            subject: "done".into(),
            sender: sender.map(|id| Id::parse(id).unwrap()),
        }
    }

    fn paired(id: &str) -> News {
        News::Paired {
            device: Id::parse(id).unwrap(),
            name: "iPad".into(),
        }
    }

    #[test]
    fn only_who_is_looking_is_not_told() {
        let phone = device("view,mail", &[]);
        let judge = |news: &News, looks| verdict(news, &phone, Kinds::default(), looks);
        for news in [
            asks(),
            over(),
            mail(None),
            News::Failed {
                about: about(),
                why: None,
            },
        ] {
            assert_eq!(judge(&news, false), Verdict::Tell, "{news:?}");
            assert_eq!(judge(&news, true), Verdict::Sees, "{news:?}");
        }
        assert_eq!(judge(&News::Test, true), Verdict::Tell);
    }

    #[test]
    fn nobody_hears_of_what_he_may_not_see() {
        let kinds = Kinds::default();
        assert_eq!(verdict(&asks(), &device("mail", &[]), kinds, false), Verdict::Not);
        assert_eq!(
            verdict(&mail(None), &device("view", &[]), kinds, false),
            Verdict::Not
        );
        assert_eq!(
            verdict(&asks(), &device("view,mail", &["p2"]), kinds, false),
            Verdict::Not
        );
        assert_eq!(
            verdict(&asks(), &device("view", &["p1"]), kinds, false),
            Verdict::Tell
        );
        assert_eq!(
            verdict(&paired("dev_2"), &device("view", &["p1"]), kinds, false),
            Verdict::Not
        );
    }

    #[test]
    fn nobody_hears_of_what_he_did_himself_or_does_not_want() {
        let phone = device("view,mail", &[]);
        let kinds = Kinds::default();
        assert_eq!(verdict(&mail(Some("dev_1")), &phone, kinds, false), Verdict::Not);
        assert_eq!(verdict(&mail(Some("dev_2")), &phone, kinds, false), Verdict::Tell);
        assert_eq!(verdict(&paired("dev_1"), &phone, kinds, false), Verdict::Not);
        assert_eq!(verdict(&paired("dev_2"), &phone, kinds, false), Verdict::Tell);
        let kinds = Kinds {
            needs_input: false,
            ..kinds
        };
        assert_eq!(verdict(&asks(), &phone, kinds, false), Verdict::Not);
        assert_eq!(verdict(&mail(None), &phone, kinds, false), Verdict::Tell);
    }

    #[test]
    fn after_a_sleep_one_notice_says_it_all_and_one_piece_of_news_stays_itself() {
        let (from, until) = (Millis(1), Millis(2));
        assert_eq!(after_sleep(vec![asks()], from, until), [asks()]);
        let failed = || News::Failed {
            about: about(),
            why: None,
        };
        let told = after_sleep(vec![asks(), failed(), over(), failed(), mail(None)], from, until);
        assert_eq!(
            told,
            [
                over(),
                News::Woke {
                    from,
                    until,
                    waiting: 1,
                    failed: 2,
                    others: 1
                }
            ]
        );
    }
}
