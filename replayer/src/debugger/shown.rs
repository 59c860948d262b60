//! Commands that show the state at a position: the stack, variables, source and threads.

use super::reply::{FrameReply, ThreadReply};
use super::{Debugger, Failure, Reply, refused};
use crate::state::Variable;
use crate::store::{Code, Error};
use crate::timeline::Position;

/// Number of lines that `list` shows before and after a line.
const AROUND: u32 = 5;

impl Debugger {
    /// The frames on the stack, innermost first.
    ///
    /// # Errors
    /// If the recording cannot be read.
    pub fn stack(&self) -> Result<Vec<FrameReply>, Failure> {
        let frames = self.timeline.state().stack_at(self.timeline.run_id(), self.at.seq())?;
        let directory = self.timeline.store().directory();
        let mut replies = Vec::with_capacity(frames.len());
        for (depth, frame) in frames.into_iter().enumerate() {
            let process = directory.processes.get(&frame.process_id);
            let index = process.and_then(|process| process.codes.get(&frame.code));
            let code: Option<&Code> = index.and_then(|index| directory.codes.get(*index));
            let text = |id| directory.texts.get(id).unwrap_or_default().to_owned();
            let code_id = code.map_or(0, |code| code.code_id);
            replies.push(FrameReply {
                depth,
                call_id: frame.call_id,
                code_id,
                qualname: code.map(|code| text(code.qualname)).unwrap_or_default(),
                path: code.map(|code| text(code.path)).unwrap_or_default(),
                line: frame.line,
                source: self.source_line(code_id, frame.line)?,
            });
        }
        Ok(replies)
    }

    /// The variables of a frame, by its depth.
    ///
    /// # Errors
    /// If values were not recorded, there is no such frame, or the recording cannot be read.
    pub fn locals(&self, depth: usize) -> Result<Vec<Variable>, Failure> {
        let (state, run_id) = (self.timeline.state(), self.timeline.run_id());
        self.with_state()?;
        let frames = state.stack_at(run_id, self.at.seq())?.len();
        if depth >= frames {
            return refused(format!("no frame {depth}: the stack has {frames}"));
        }
        Ok(state.locals_at(run_id, self.at.seq(), Some(depth))?)
    }

    pub(super) fn select(&mut self, frames: i64) -> Result<Reply, Failure> {
        let stack = self.stack()?;
        let wanted = self.frame as i64 + frames;
        if stack.is_empty() {
            return refused("no frame is known here");
        }
        self.frame = wanted.clamp(0, stack.len() as i64 - 1) as usize;
        Ok(Reply::Stack { frames: stack, selected: self.frame })
    }

    pub(super) fn source_line(
        &self,
        code_id: i64,
        line: Option<i64>,
    ) -> Result<Option<String>, Error> {
        let line = line.and_then(|line| usize::try_from(line).ok());
        let (Some(line), Some(source)) = (line, self.timeline.store().source_of(code_id)?) else {
            return Ok(None);
        };
        Ok(source.line(line).map(str::to_owned))
    }

    /// The arguments of the selected frame that are still bound.
    pub(super) fn arguments(&self) -> Result<Vec<Variable>, Failure> {
        let stack = self.stack()?;
        let Some(frame) = stack.get(self.frame) else { return refused("no frame is known here") };
        let store = self.timeline.store();
        let code = store.directory().code(frame.code_id);
        let names = code.map_or(&[][..], |code| store.argument_names(code));
        let mut variables = self.locals(self.frame)?;
        let place = |variable: &Variable| names.iter().position(|name| **name == *variable.name);
        variables.retain(|variable| variable.scope != "global" && place(variable).is_some());
        variables.sort_by_key(place);
        Ok(variables)
    }

    fn list_of(&self, path: &str, around: u32) -> Result<Reply, Failure> {
        let codes = self.timeline.codes_of_path(path);
        let Some(code_id) = codes.into_iter().min() else {
            return refused(format!("no code of {path} ran"));
        };
        let store = self.timeline.store();
        let Some(source) = store.source_of(code_id)? else {
            return refused(format!("the source of {path} was not kept"));
        };
        let of = store.directory().code(code_id).map(|code| code.path);
        let path = of.and_then(|path| store.directory().texts.get(path)).unwrap_or(path);
        let stack = self.stack()?;
        let frame = stack.get(self.frame).filter(|frame| frame.path == path);
        let current = frame.and_then(|frame| u32::try_from(frame.line?).ok());
        let first = around.saturating_sub(AROUND).max(1);
        let lines =
            (first..=around.saturating_add(AROUND)).map_while(|at| source.line(at as usize));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        if lines.is_empty() {
            return refused(format!("{path} has {} lines", source.len()));
        }
        Ok(Reply::Source { path: path.to_owned(), first, lines, current })
    }

    pub(super) fn list(&self, around: Option<(Option<String>, u32)>) -> Result<Reply, Failure> {
        let line = match around {
            Some((Some(path), line)) => return self.list_of(&path, line),
            Some((None, line)) => Some(line),
            None => None,
        };
        let stack = self.stack()?;
        let Some(frame) = stack.get(self.frame) else { return refused("no frame is known here") };
        let Some(source) = self.timeline.store().source_of(frame.code_id)? else {
            return refused(format!("the source of {} was not kept", frame.path));
        };
        let current = frame.line.and_then(|line| u32::try_from(line).ok());
        let around = line.or(current).unwrap_or(1);
        let first = around.saturating_sub(AROUND).max(1);
        let lines =
            (first..=around.saturating_add(AROUND)).map_while(|at| source.line(at as usize));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        if lines.is_empty() {
            return refused(format!("{} has {} lines", frame.path, source.len()));
        }
        Ok(Reply::Source { path: frame.path.clone(), first, lines, current })
    }

    pub(super) fn threads(&self) -> Result<Vec<ThreadReply>, Failure> {
        let current = self.timeline.here(self.at)?.map(|here| here.thread_id);
        let mut threads = Vec::new();
        for (thread_id, process_id) in self.timeline.threads() {
            let at = self.last_of_thread(thread_id, process_id)?;
            let thread = self.timeline.store().directory().threads.get(&thread_id);
            threads.push(ThreadReply {
                thread_id,
                process_id,
                name: thread.and_then(|thread| thread.name.clone()),
                is_current: Some(thread_id) == current,
                here: at.map(|at| self.timeline.here(at)).transpose()?.flatten(),
            });
        }
        Ok(threads)
    }

    /// The last event of a thread up to the present.
    fn last_of_thread(&self, thread_id: i64, process_id: i64) -> Result<Option<Position>, Failure> {
        match self.timeline.last_of_process(process_id, self.at)? {
            Some(at) => Ok(self.timeline.last_of_thread(thread_id, at)?),
            None => Ok(None),
        }
    }

    pub(super) fn thread(&mut self, thread_id: i64) -> Result<Reply, Failure> {
        let threads = self.timeline.threads();
        let Some((_, process_id)) = threads.into_iter().find(|(id, _)| *id == thread_id) else {
            return refused(format!("no thread {thread_id}; threads lists them"));
        };
        let to: Option<Position> = match self.last_of_thread(thread_id, process_id)? {
            Some(at) => Some(at),
            None => match self.timeline.extent(process_id) {
                Some(extent) => self.timeline.first_of_thread(thread_id, extent.first)?,
                None => None,
            },
        };
        match to {
            Some(to) => self.stand(to, "thread"),
            None => refused(format!("thread {thread_id} has no events")),
        }
    }
}
