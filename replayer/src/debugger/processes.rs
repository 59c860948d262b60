//! Commands about processes, and where a process or the program crashed.

use super::reply::ProcessReply;
use super::text::{shell, signal_name};
use super::{Debugger, Failure, Reply, refused};
use crate::store::{Error, Process};
use crate::timeline::Position;

impl Debugger {
    /// The process of the current position.
    pub(super) fn process_id(&self) -> i64 {
        self.timeline.extent_at(self.at).process_id
    }

    /// Whether the run has more than one process.
    pub fn has_several(&self) -> bool {
        self.of_run().len() > 1
    }

    fn of_run(&self) -> Vec<&Process> {
        self.timeline.store().directory().processes_of(self.timeline.run_id())
    }

    /// What a message is about: the run, or the current process if it is one of several.
    pub(super) fn process_or_run(&self) -> String {
        match self.has_several() {
            true => format!("process {}", self.process_id()),
            false => format!("run {}", self.timeline.run_id()),
        }
    }

    /// The command line of a process, as for a shell.
    pub(super) fn command_of(&self, process_id: i64) -> String {
        let process = self.timeline.store().directory().processes.get(&process_id);
        process.map_or(String::new(), |process| shell(&process.command))
    }

    pub(super) fn processes(&self) -> Vec<ProcessReply> {
        let current = self.process_id();
        let reply = |process: &Process| ProcessReply {
            process_id: process.process_id,
            pid: process.pid,
            parent: process.parent,
            ended: ended(process),
            exit_code: process.exit_code,
            exit_signal: process.exit_signal,
            command: shell(&process.command),
            events: self.timeline.extent(process.process_id).map_or(0, |extent| extent.events),
            is_current: process.process_id == current,
        };
        self.of_run().into_iter().map(reply).collect()
    }

    /// Goes to where a process is at the present time, or to its first event if it begins later.
    pub(super) fn process(&mut self, process_id: i64) -> Result<Reply, Failure> {
        if !self.of_run().iter().any(|process| process.process_id == process_id) {
            return refused(format!("no process {process_id}; processes lists them"));
        }
        let Some(extent) = self.timeline.extent(process_id) else {
            return refused(format!("process {process_id} has no events"));
        };
        let at = self.timeline.last_of_process(process_id, self.at)?;
        self.stand(at.unwrap_or(extent.first), "process")
    }

    /// Where the current process crashed; if it did not, where the run's first process did; if that
    /// did not either and the program failed, where another process did.
    pub(super) fn crash(&self) -> Result<Position, Failure> {
        let all = self.of_run();
        let first = all.first().map_or(0, |process| process.process_id);
        for process in [self.process_id(), first] {
            if let Some(at) = self.timeline.crash(process)? {
                return Ok(at);
            }
        }
        let has_failed =
            all.first().is_some_and(|of| of.exit_code != Some(0) || of.exit_signal.is_some());
        let mut others = Vec::new();
        for process in all.iter().filter(|process| process.process_id != first) {
            others.extend(self.timeline.crash(process.process_id)?.map(|at| (process, at)));
        }
        match others.as_slice() {
            [(_, at), ..] if has_failed => Ok(*at),
            [(process, _), ..] => {
                let process = process.process_id;
                refused(format!(
                    "{}; one ended process {process}: process {process}, then goto crash",
                    self.no_crash()?
                ))
            }
            [] => refused(self.no_crash()?),
        }
    }

    /// The message for a run that no exception ended: how it ended instead.
    fn no_crash(&self) -> Result<String, Failure> {
        let run = self.timeline.run_id();
        let sql = "SELECT status, exit_code, exit_signal FROM runs WHERE run_id = ?";
        let store = self.timeline.store();
        let read = store
            .connection()
            .query_row(sql, [run], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)));
        let end = match read.map_err(|error| Error::from_sqlite(store.path(), &error))? {
            (_, _, Some(signal)) => format!("{} ended it", signal_name(signal)),
            (_, Some(code), _) => format!("it ended with status {code}"),
            (status, None::<i64>, _) if status == "recording" => "it is still running".to_owned(),
            _ => "its end was not recorded".to_owned(),
        };
        Ok(format!("no exception ended run {run}: {end}"))
    }
}

/// How a process ended, in short.
fn ended(process: &Process) -> String {
    match (process.exit_signal, process.exit_code) {
        (Some(signal), _) => signal_name(signal),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) if process.is_over => "end unknown".to_owned(),
        (None, None) => "running".to_owned(),
    }
}
