//! Reads the resource usage of the service's processes from the operating system, if it runs on this
//! machine.

use reqwest::Url;

use crate::{
    outcome::ServiceSample,
    service::{ServiceProcess, is_loopback_name},
};

/// The processes of a service on this machine: one, or a main process and its workers.
#[derive(Debug)]
pub(super) struct LocalProcess {
    /// The main process first.
    #[cfg(target_os = "linux")]
    processes: Vec<procfs::process::Process>,
}

impl LocalProcess {
    /// Finds the processes of the service with the base URL `host`. Returns `None` if there are none on
    /// this machine that this user may observe, or the system is not Linux.
    pub(super) fn find(process: &ServiceProcess, host: &str) -> Option<Self> {
        match process {
            ServiceProcess::Listening => Self::listening_on(loopback_port(host)?),
            ServiceProcess::Pid(pid) => Self::with_descendants(*pid),
            ServiceProcess::Container(name) => Self::with_descendants(container_pid(name)?),
        }
    }

    /// Finds the processes that listen on `port`, the oldest one first. A main process and the workers
    /// that it has forked share the socket.
    #[cfg(target_os = "linux")]
    fn listening_on(port: u16) -> Option<Self> {
        use procfs::{
            net::TcpState,
            process::{FDTarget, Process, all_processes},
        };

        let sockets = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
        let inodes: Vec<u64> = sockets
            .filter(|socket| {
                socket.state == TcpState::Listen && socket.local_address.port() == port
            })
            .map(|socket| socket.inode)
            .collect();
        let owns_socket = |process: &Process| {
            let mut files = process.fd().into_iter().flatten().flatten();
            files.any(
                |file| matches!(file.target, FDTarget::Socket(inode) if inodes.contains(&inode)),
            )
        };
        let mut processes: Vec<Process> =
            all_processes().ok()?.flatten().filter(owns_socket).collect();
        processes.sort_by_key(|process| {
            (process.stat().map_or(u64::MAX, |stat| stat.starttime), process.pid)
        });
        (!processes.is_empty()).then_some(Self { processes })
    }

    /// Finds the process `pid` and all processes that descend from it.
    #[cfg(target_os = "linux")]
    fn with_descendants(pid: u32) -> Option<Self> {
        use procfs::process::{Process, all_processes};

        let pid = i32::try_from(pid).ok()?;
        let mut processes = vec![Process::new(pid).ok().filter(Process::is_alive)?];
        let mut others: Vec<(i32, Process)> = all_processes()
            .ok()?
            .flatten()
            .filter_map(|process| Some((process.stat().ok()?.ppid, process)))
            .collect();
        let mut next = 0;
        while let Some(parent) = processes.get(next).map(Process::pid) {
            let (children, rest) = others.into_iter().partition(|(ppid, _)| *ppid == parent);
            others = rest;
            processes.extend(Vec::into_iter(children).map(|(_, process)| process));
            next += 1;
        }
        Some(Self { processes })
    }

    #[cfg(not(target_os = "linux"))]
    fn listening_on(_: u16) -> Option<Self> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn with_descendants(_: u32) -> Option<Self> {
        None
    }

    /// Returns whether all of the processes still exist.
    #[cfg(target_os = "linux")]
    pub(super) fn is_alive(&self) -> bool {
        // A zombie has ended too; it only waits for its parent process.
        self.processes.iter().all(|process| process.stat().is_ok_and(|stat| stat.state != 'Z'))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_alive(&self) -> bool {
        true
    }

    /// Sets the values that describe the processes: start time of the main one; CPU time, memory and
    /// open files of all together. Memory that they share counts for each of them.
    #[cfg(target_os = "linux")]
    pub(super) fn describe(&self, sample: &mut ServiceSample) {
        use procfs::WithCurrentSystemInfo as _;

        let stats: Vec<_> =
            self.processes.iter().filter_map(|process| process.stat().ok()).collect();
        let ticks = as_f64(procfs::ticks_per_second());
        if let Some(main) = stats.first() {
            let started =
                procfs::boot_time_secs().map(|boot| as_f64(boot) + as_f64(main.starttime) / ticks);
            sample.started_at = started.ok();
            // The time of workers that have ended is that of the main process's children, so that the
            // sum never goes back.
            let ended = u64::try_from(main.cutime + main.cstime).unwrap_or_default();
            let used: u64 = stats.iter().map(|stat| stat.utime + stat.stime).sum();
            sample.cpu_seconds = Some(as_f64(used + ended) / ticks);
            let memory: u64 = stats.iter().map(|stat| stat.rss_bytes().get()).sum();
            sample.memory_bytes = Some(as_f64(memory));
        }
        let files = self.processes.iter().filter_map(|process| process.fd_count().ok());
        sample.open_files =
            files.map(|files| as_f64(files as u64)).reduce(|sum, files| sum + files);
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn describe(&self, _: &mut ServiceSample) {}

    /// Sets the values that no service exports: disk and network traffic. Also the number of CPUs if
    /// the service has not exported it.
    #[cfg(target_os = "linux")]
    pub(super) fn fill_in(&self, sample: &mut ServiceSample) {
        let Some(main) = self.processes.first() else { return };
        if sample.cpus.is_none() {
            let allowed = main.status().ok().and_then(|status| status.cpus_allowed);
            let count =
                allowed.map(|masks| masks.iter().map(|mask| mask.count_ones()).sum::<u32>());
            sample.cpus = count.map(|count| f64::from(count).min(as_f64(online_cpus())));
        }
        let io: Vec<_> = self.processes.iter().filter_map(|process| process.io().ok()).collect();
        if !io.is_empty() {
            sample.disk_read_bytes = Some(as_f64(io.iter().map(|io| io.read_bytes).sum()));
            sample.disk_written_bytes = Some(as_f64(io.iter().map(|io| io.write_bytes).sum()));
        }
        if let Ok(devices) = procfs::net::dev_status() {
            let bytes = devices.values().map(|device| device.recv_bytes + device.sent_bytes);
            sample.network_bytes = Some(as_f64(bytes.sum()));
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn fill_in(&self, _: &mut ServiceSample) {}
}
/// Returns the port of the base URL `host` if it is a loopback address.
fn loopback_port(host: &str) -> Option<u16> {
    let url = Url::parse(host).ok()?;
    if is_loopback_name(url.host_str()?) { url.port_or_known_default() } else { None }
}

/// Returns the id of the main process of a Docker container; `None` if it does not run.
fn container_pid(name: &str) -> Option<u32> {
    let arguments = ["inspect", "--format", "{{.State.Pid}}", "--", name];
    let output = std::process::Command::new("docker").args(arguments).output().ok()?;
    let pid = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// Returns the number of CPUs of the machine; the mask of a process has bits beyond them.
#[cfg(target_os = "linux")]
fn online_cpus() -> u64 {
    use procfs::CurrentSI as _;
    procfs::KernelStats::current().map_or(u64::MAX, |stats| stats.cpu_time.len() as u64)
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_precision_loss, reason = "bytes and ticks of one machine stay below 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_local_service_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        let process = LocalProcess::find(&ServiceProcess::Listening, &host).unwrap();
        assert!(process.is_alive());
        let mut sample = ServiceSample::default();
        process.describe(&mut sample);
        assert!(sample.memory_bytes.unwrap() > 1_000_000.0, "this test's own process");
        assert!(sample.cpu_seconds.is_some() && sample.started_at.is_some());
        assert!(sample.open_files.is_some());
        process.fill_in(&mut sample);
        let cpus = f64::from(u32::try_from(crate::probe::available_cpus()).unwrap());
        assert_eq!(sample.cpus, Some(cpus), "the affinity of this process");
        let mut exported = ServiceSample { cpus: Some(64.0), ..ServiceSample::default() };
        process.fill_in(&mut exported);
        assert_eq!(exported.cpus, Some(64.0), "an exported value is not replaced");
    }

    #[test]
    fn processes_that_share_the_socket_count_together() {
        use std::{io::Read as _, os::fd::AsFd as _, process};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        // A child that has the socket as its standard input, and says when it runs.
        let mut worker = process::Command::new("sh")
            .args(["-c", "echo; exec sleep 60"])
            .stdin(listener.as_fd().try_clone_to_owned().unwrap())
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        worker.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let both = LocalProcess::find(&ServiceProcess::Listening, &host).unwrap();
        let pids: Vec<i32> = both.processes.iter().map(|process| process.pid).collect();
        let ids = [process::id(), worker.id()].map(|id| i32::try_from(id).unwrap());
        assert_eq!(pids, ids, "the main process first");
        let mut sample = ServiceSample::default();
        both.describe(&mut sample);
        let mut main = ServiceSample::default();
        LocalProcess { processes: vec![procfs::process::Process::myself().unwrap()] }
            .describe(&mut main);
        assert_eq!(sample.started_at, main.started_at);
        assert!(sample.open_files > main.open_files, "those of both");
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert!(!both.is_alive(), "found again without the worker");
    }

    #[test]
    fn a_process_and_its_children_are_found_by_its_id() {
        use std::{io::Read as _, process};

        let mut shell = process::Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let found = LocalProcess::find(&ServiceProcess::Pid(shell.id()), "http://192.0.2.1");
        let pids: Vec<i32> = found.unwrap().processes.iter().map(|process| process.pid).collect();
        assert_eq!(pids.len(), 2, "{pids:?}");
        assert_eq!(pids[0], i32::try_from(shell.id()).unwrap());
        shell.kill().unwrap();
        shell.wait().unwrap();
        let sleep = rustix::process::Pid::from_raw(pids[1]).unwrap();
        rustix::process::kill_process(sleep, rustix::process::Signal::KILL).unwrap();
        let gone = LocalProcess::find(&ServiceProcess::Pid(shell.id()), "http://192.0.2.1");
        assert!(gone.is_none());
        assert!(container_pid("no such container").is_none());
    }

    #[test]
    fn a_remote_service_has_no_local_process() {
        assert!(LocalProcess::find(&ServiceProcess::Listening, "http://192.0.2.1:80").is_none());
    }
}
