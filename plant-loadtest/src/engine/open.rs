//! The open load model: so many requests a second, whatever the answers take.
//!
//! A thread of its own sleeps from arrival to arrival and hands each to a bounded crew of users. An
//! arrival that finds all of them busy waits for one, and its latency counts from when it was meant
//! to start: a service that stalls is charged for everybody who would have come meanwhile. One
//! that waited as long as a request may take is dropped, and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use goose::{GooseError, config::GooseConfiguration, goose::GooseUser};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Destination, pace::Pace, users::Tasks};
use crate::{
    alarm::sharpen_sleep,
    client::Client,
    profile::{ClassShare, Plan},
    recorder::{Recorder, Shard},
    scenarios::Session,
};

/// How many users make themselves ready side by side: enough to be quick, too few to be a load.
const READY_AT_ONCE: usize = 16;

/// The pacing thread looks this often whether the run was interrupted.
const ATTENTION: Duration = Duration::from_millis(50);

/// From the last user being ready to the first arrival.
const BREATH: Duration = Duration::from_millis(20);

/// Why the open engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Goose refuses a scenario, which its test rules out.
    #[error(transparent)]
    Goose(#[from] GooseError),
    /// The HTTP library cannot be set up, or the address is none.
    #[error("a user could not be made ready: {0}")]
    User(String),
    /// The system gives no thread.
    #[error("no thread for the pace: {0}")]
    Thread(#[from] std::io::Error),
}

/// Someone who is meant to come.
struct Arrival {
    intended: Instant,
    /// Whether a user was waiting for it.
    free: bool,
}

/// One member of the crew: it can act for every class.
struct Member {
    users: Vec<GooseUser>,
    client: Client,
    shard: Shard,
}

/// What all members share.
struct Crew {
    classes: Vec<(ClassShare, Tasks)>,
    total_weight: u32,
    destination: Destination,
    /// Users who wait for an arrival, less arrivals that wait for a user.
    free: AtomicI64,
}

/// Runs `plan` from its first arrival to the last answer; returns early when Goose's killswitch is
/// pulled.
///
/// # Errors
/// When users cannot be made ready.
pub async fn drive(plan: &Plan, destination: &Destination) -> Result<(), OpenError> {
    goose::reset_killswitch();
    let crew = Arc::new(Crew::of(plan, destination)?);
    let members = make_ready(&crew, plan.users).await?;
    let (announce, arrivals) = flume::unbounded::<Arrival>();
    let mut working = JoinSet::new();
    for member in members {
        working.spawn(work(Arc::clone(&crew), member, arrivals.clone()));
    }
    drop(arrivals);

    let begin = Instant::now() + BREATH;
    destination.recorder.start(begin);
    let pacing = {
        let (plan, crew) = (plan.clone(), Arc::clone(&crew));
        thread::Builder::new()
            .name("pace".into())
            .spawn(move || announce_all(&plan, begin, &crew, &announce))?
    };
    while working.join_next().await.is_some() {}
    // It ended before its channel closed, and with that the members' work.
    let _ = pacing.join();
    Ok(())
}

impl Crew {
    fn of(plan: &Plan, destination: &Destination) -> Result<Self, GooseError> {
        let classes = plan.classes.iter().map(|share| Ok((*share, Tasks::of(share.class)?)));
        Ok(Self {
            classes: classes.collect::<Result<_, GooseError>>()?,
            total_weight: plan.classes.iter().map(|share| share.weight).sum(),
            destination: destination.clone(),
            free: AtomicI64::new(i64::from(plan.users)),
        })
    }

    /// The place of one of the classes, chosen by weight.
    fn draw_class(&self) -> usize {
        let mut ticket = fastrand::u32(..self.total_weight);
        for (place, (share, _)) in self.classes.iter().enumerate() {
            if ticket < share.weight {
                return place;
            }
            ticket -= share.weight;
        }
        unreachable!("the ticket is below the sum of all weights")
    }
}

/// Builds the crew and has everybody do what their classes do first. That is no part of the load,
/// so it is neither timed nor counted; who fails there asks again under load, and is counted then.
async fn make_ready(crew: &Arc<Crew>, users: u32) -> Result<Vec<Member>, OpenError> {
    let doors = Arc::new(Semaphore::new(READY_AT_ONCE));
    let mut coming = JoinSet::new();
    for _ in 0..users {
        let (crew, doors) = (Arc::clone(crew), Arc::clone(&doors));
        coming.spawn(async move {
            let _door = doors.acquire_owned().await;
            make_one_ready(&crew).await
        });
    }
    let mut members = Vec::new();
    while let Some(member) = coming.join_next().await {
        members.push(member.map_err(|error| OpenError::User(error.to_string()))??);
    }
    Ok(members)
}

async fn make_one_ready(crew: &Crew) -> Result<Member, OpenError> {
    let unready = |error: &dyn ToString| OpenError::User(error.to_string());
    let destination = &crew.destination;
    let client = Client::new(destination).map_err(|error| unready(&error))?;
    let rehearsal = client.recording_to(Arc::new(Recorder::new(1)));
    let base = destination.host.parse().map_err(|error| unready(&error))?;
    // Goose's own client is never used; without one it would build another.
    let http = client.transport();
    let mut users = Vec::new();
    for (share, tasks) in &crew.classes {
        let configuration = GooseConfiguration::default();
        let base = reqwest::Url::clone(&base);
        let mut user = GooseUser::new(
            0,
            share.class.name.into(),
            base,
            &configuration,
            0,
            Some(http.clone()),
        )?;
        user.set_session_data(Session::new(share.class.acts_for, rehearsal.clone()));
        let _ = tasks.start(&mut user).await;
        if let Some(session) = user.get_session_data_mut::<Session>() {
            session.client = session.client.recording_as(&client);
        }
        destination.recorder.count_user(share.class.name);
        users.push(user);
    }
    Ok(Member { users, client, shard: destination.recorder.assign_shard() })
}

/// Takes arrivals as they come until there are no more.
async fn work(crew: Arc<Crew>, mut member: Member, arrivals: flume::Receiver<Arrival>) {
    let Destination { recorder, timeout, .. } = &crew.destination;
    while let Ok(Arrival { intended, free }) = arrivals.recv_async().await {
        let now = Instant::now();
        if goose::is_killswitch_triggered() {
            // Who still waits goes home: neither late nor dropped.
        } else if !free && now.saturating_duration_since(intended) >= *timeout {
            recorder.arrival_dropped(member.shard, intended);
        } else {
            recorder.arrival_starts(member.shard, intended, now, free);
            recorder.user_busy();
            member.client.set_due(intended);
            let class = crew.draw_class();
            // What went wrong was counted with the request; there is nothing else to go wrong.
            let _ = crew.classes[class].1.draw()(&mut member.users[class]).await;
            recorder.user_left();
        }
        crew.free.fetch_add(1, SeqCst);
    }
}

/// Announces every arrival at its moment, and stays until the last stage is over.
fn announce_all(plan: &Plan, begin: Instant, crew: &Crew, announce: &flume::Sender<Arrival>) {
    sharpen_sleep();
    let recorder = &crew.destination.recorder;
    let shard = recorder.assign_shard();
    for due in Pace::new(&plan.stages, plan.spacing, fastrand::Rng::new()) {
        let intended = begin + due;
        if !sleep_until(intended) {
            return;
        }
        recorder.arrival_due(shard, intended);
        let free = crew.free.fetch_sub(1, SeqCst) > 0;
        if announce.send(Arrival { intended, free }).is_err() {
            return;
        }
    }
    sleep_until(begin + Duration::from_secs(plan.seconds().into()));
}

/// Whether the run goes on at `moment`.
fn sleep_until(moment: Instant) -> bool {
    loop {
        if goose::is_killswitch_triggered() {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(ATTENTION));
    }
}
