//! A store in a real file or database, and short ways to say what workers say.

use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::outcome::Action;
use windlass::outcome::Change;
use windlass::outcome::Phase;
use windlass::outcome::Problem;
use windlass::outcome::Progress;
use windlass::outcome::Report;
use windlass::outcome::Tally;
use windlass::outcome::Told;
use windlass::outcome::VERSION;
use windlass::reference::Reference;
use windlass::select::Memory;
use windlass::select::State;
use windlass::store::Due;
use windlass::store::Store;

use crate::place::Home;
use crate::place::Place;

pub const LATER: Moment = Moment(i64::MAX);

pub struct Desk {
    pub home: Home,
    pub store: Store,
}

impl Desk {
    pub async fn new(place: &Place) -> Self {
        let home = place.home().await;
        let store = home.store().await;
        Self { home, store }
    }

    pub async fn reopen(self) -> Self {
        let Self { home, store } = self;
        store.close().await;
        let store = home.store().await;
        Self { home, store }
    }

    /// Closes the store in a file and returns its folder.
    pub async fn close(self) -> tempfile::TempDir {
        self.store.close().await;
        match self.home {
            Home::File(folder) => folder,
            Home::Database(_) => panic!("a store in a database has no folder"),
        }
    }

    pub async fn hear(&self, what: Told) {
        self.store.record(&at(5_000, what)).await.unwrap();
    }

    /// What is due, as a person would read it.
    pub async fn due(&self) -> Vec<String> {
        self.due_rows().await.iter().map(line).collect()
    }

    pub async fn due_rows(&self) -> Vec<Due> {
        let mut due = self.store.due(LATER, 1_000).await.unwrap();
        due.sort_by(|a, b| (&a.commit, &a.context).cmp(&(&b.commit, &b.context)));
        due
    }

    pub async fn post_all(&self) {
        for due in self.due_rows().await {
            self.store.posted(&due, Moment(1)).await.unwrap();
        }
    }

    pub async fn phases(&self, commit: &CommitId) -> Vec<String> {
        let verdicts = self.store.verdicts(&name("git"), commit).await.unwrap();
        verdicts.iter().map(|v| format!("{} {}", v.target, v.row.phase)).collect()
    }

    pub async fn state(&self) -> State {
        self.store.memory(&name("git")).await.unwrap()[0].state
    }
}

pub fn line(due: &Due) -> String {
    format!("{} {}: {}", due.context, due.phase, due.description)
}

pub fn at(millis: i64, what: Told) -> Report {
    Report { version: VERSION, at: Moment(millis), what }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn commit(digit: char) -> CommitId {
    CommitId::parse(&String::from(digit).repeat(40)).unwrap()
}

pub fn target(text: &str) -> Target {
    let (application, cluster) = text.split_once('@').unwrap();
    Target { application: name(application), cluster: name(cluster) }
}

pub fn roster(dispatch: &str, commit: &CommitId, targets: &[&str]) -> Told {
    Told::Roster {
        dispatch: dispatch.into(),
        source: name("git"),
        commit: commit.clone(),
        targets: targets.iter().map(|text| target(text)).collect(),
        received_at: Moment(1_000),
    }
}

pub fn web() -> ObjectId {
    ObjectId {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: Some("shop".into()),
        name: "web".into(),
    }
}

pub fn progress(run: &str, dispatch: &str, commit: &CommitId, on: &str, phase: Phase) -> Progress {
    let problem = Problem { object: Some(web()), place: None, message: "quota exceeded".into() };
    let bad = matches!(phase, Phase::Failed | Phase::Error);
    let change = |action| Change { object: web(), action, note: None };
    Progress {
        run: run.into(),
        dispatch: dispatch.into(),
        source: name("git"),
        target: target(on),
        commit: commit.clone(),
        inputs: Inputs("tree".into()),
        phase,
        changes: if phase == Phase::Applied { vec![change(Action::Configured)] } else { Vec::new() },
        tally: Tally { created: 1, configured: 3, unchanged: 8, pruned: 0, kept: 0, held: 0 },
        problems: if bad { vec![problem] } else { Vec::new() },
        received_at: Moment(900),
        rollback_from: None,
    }
}

pub fn run(run: &str, dispatch: &str, commit: &CommitId, phase: Phase) -> Told {
    Told::Run(progress(run, dispatch, commit, "shop@east", phase))
}

pub fn covered(dispatch: &str, commit: &CommitId, run: &str) -> Told {
    Told::Covered {
        dispatch: dispatch.into(),
        source: name("git"),
        commit: commit.clone(),
        target: target("shop@east"),
        run: run.into(),
    }
}

pub fn memory(dispatch: &str, commit: &CommitId) -> Memory {
    Memory {
        target: target("shop@east"),
        source: name("git"),
        reference: Reference::parse("refs/heads/main").unwrap(),
        inputs: Inputs("tree".into()),
        commit: commit.clone(),
        definition: 3,
        dispatch: dispatch.into(),
        state: State::Open,
    }
}
