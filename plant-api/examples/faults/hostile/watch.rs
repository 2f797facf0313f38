//! Measures `/livez` and the memory of the service during an attack.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::percentiles::percentile;

/// Delay between two requests.
const INTERVAL: Duration = Duration::from_millis(5);

/// A measurement in progress.
pub struct Watch {
    pid: u32,
    stop: oneshot::Sender<()>,
    probe: JoinHandle<(Vec<Duration>, u64)>,
}

/// What was measured.
pub struct Usage {
    pub livez_p99: Duration,
    pub livez_failures: u64,
    /// Peak of the resident memory in MiB.
    pub peak_mib: u64,
}

impl Watch {
    /// Resets the peak of the memory and starts to request `/livez`.
    pub fn start(address: SocketAddr, pid: u32) -> anyhow::Result<Self> {
        // 5 resets VmHWM, see proc_pid_clear_refs(5).
        fs::write(format!("/proc/{pid}/clear_refs"), "5")
            .context("cannot reset the peak memory")?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { pid, stop, probe: tokio::spawn(request_livez(address, stopped)) })
    }

    /// Ends the measurement.
    pub async fn stop(self) -> anyhow::Result<Usage> {
        let _ = self.stop.send(());
        let (mut latencies, livez_failures) = self.probe.await?;
        let livez_p99 = percentile(&mut latencies, 0.99);
        Ok(Usage { livez_p99, livez_failures, peak_mib: peak_memory_mib(self.pid)? })
    }
}

async fn request_livez(
    address: SocketAddr,
    mut stopped: oneshot::Receiver<()>,
) -> (Vec<Duration>, u64) {
    let (mut latencies, mut failures) = (Vec::new(), 0);
    while stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty) {
        let started_at = Instant::now();
        // A new connection each time, as a probe opens it.
        match Client::new(address).send(hyper::Method::GET, "/livez", None).await {
            Ok(response) if response.status == 200 => latencies.push(started_at.elapsed()),
            _ => failures += 1,
        }
        sleep(INTERVAL).await;
    }
    (latencies, failures)
}

fn peak_memory_mib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(kib.parse::<u64>()? / 1024)
}
