//! What other processes cost while a load runs: processor time and memory, sampled once a second by a thread of its own.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A process to be watched, with those that it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its name in the report.
    pub name: String,
    /// Its number.
    pub pid: u32,
}

/// What a watched process used up to then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the watch began.
    pub at: f64,
    /// Processor time so far, seconds, of it and of all that it started.
    pub cpu: f64,
    /// Memory, bytes; what several share counts once.
    pub memory: u64,
}

/// The samples of each watched process, by name.
pub type Samples = BTreeMap<String, Vec<Sample>>;

const EVERY: Duration = Duration::from_secs(1);
/// Clock ticks a second in `/proc`, which the kernel never shows otherwise.
const TICKS: f64 = 100.0;

/// A thread that samples until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Samples>,
}

impl Watch {
    /// Begins to sample.
    #[must_use]
    pub fn start(watched: Vec<Watched>) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || sample(&watched, &stopped));
        Self { stop, thread }
    }

    /// Samples once more, and gives all back.
    #[must_use]
    pub fn end(self) -> Samples {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn sample(watched: &[Watched], stopped: &Receiver<()>) -> Samples {
    let start = Instant::now();
    let mut samples = Samples::new();
    let mut last = false;
    loop {
        for process in watched {
            if let Some((cpu, memory)) = used(process.pid) {
                let sample = Sample { at: start.elapsed().as_secs_f64(), cpu, memory };
                samples.entry(process.name.clone()).or_default().push(sample);
            }
        }
        if last {
            return samples;
        }
        last = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
    }
}

/// Processor seconds and bytes of a process and of those that it started; none if it is gone.
pub fn used(pid: u32) -> Option<(f64, u64)> {
    let own = stat(pid)?;
    let mut ticks = own.ticks + own.ended;
    let mut memory = memory(pid);
    for child in children(pid) {
        ticks += stat(child).map_or(0, |stat| stat.ticks);
        memory += self::memory(child);
    }
    Some((f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS, memory))
}

struct Stat {
    parent: u32,
    ticks: u64,
    /// Of children that have ended.
    ended: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
    let ticks = number(9)? + number(0)?;
    Some(Stat { parent, ticks, ended: number(0)? + number(0)? })
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| stat(*child).is_some_and(|stat| stat.parent == pid))
        .collect()
}

/// Bytes: of memory that several processes share each has its part.
fn memory(pid: u32) -> u64 {
    let kilobytes = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    let found = kilobytes("smaps_rollup", "Pss:").or_else(|| kilobytes("status", "VmRSS:"));
    found.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_watched_with_its_children() {
        let own = std::process::id();
        let (cpu, memory) = used(own).expect("we run");
        assert!(cpu >= 0.0 && memory > 100_000, "{cpu} {memory}");
        let mut child = std::process::Command::new("sleep").arg("5").spawn().expect("sleep");
        assert!(children(own).contains(&child.id()));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert!(used(child.id()).is_none());
        let samples = Watch::start(vec![Watched { name: "own".to_owned(), pid: own }]).end();
        assert_eq!(samples["own"].len(), 2);
    }
}
