//! Requests about positions and the state there. There is one debugger per run, and each request
//! sets its position.

use super::inbox::Request;
use super::{Answer, Failure, Server, tagged};
use dashcam_replayer::debugger::{Command, Debugger, Reply, command, json};
use dashcam_replayer::timeline::Direction;
use serde_json::{Value, json};

impl Server<'_> {
    /// The debugger of a run, at the position of the last request.
    fn debugger(&mut self, request: &Request) -> Result<(i64, &mut Debugger), Failure> {
        let store = self.recording.store();
        let run_id = store.run(Some(request.integer("run")?))?;
        if !self.debuggers.contains_key(&run_id) {
            let none = || Failure::Refused(format!("run {run_id} has no events"));
            let debugger = Debugger::new(self.recording.clone(), run_id).ok_or_else(none)?;
            self.debuggers.insert(run_id, debugger);
        }
        match self.debuggers.get_mut(&run_id) {
            Some(debugger) => Ok((run_id, debugger)),
            None => Err(Failure::Refused(format!("run {run_id} has no events"))),
        }
    }

    /// The debugger of a run at the position of the request, without breakpoints and following the
    /// thread.
    fn at_position(&mut self, request: &Request) -> Result<(i64, &mut Debugger, Reply), Failure> {
        let seq = request.integer("position")?;
        let (run_id, debugger) = self.debugger(request)?;
        let at = debugger.timeline().position(seq);
        if at.seq() != seq {
            let extent = debugger.timeline().extent_at(at);
            let (first, last) = (extent.first, extent.last);
            let near = match seq {
                _ if seq < first.seq() => format!("the first is {first}"),
                _ if seq > last.seq() => format!("the last is {last}"),
                _ => format!("the next is {at}"),
            };
            return Err(Failure::Refused(format!("no event {seq} in run {run_id}; {near}")));
        }
        debugger.run(Command::Delete(None))?;
        debugger.run(Command::Follow(Some(command::Followed::Thread)))?;
        let reply = debugger.stand(at, "goto")?;
        Ok((run_id, debugger, reply))
    }

    pub(super) fn goto(&mut self, request: &Request) -> Answer {
        if request.get("position")?.is_some() {
            let (run_id, _, reply) = self.at_position(request)?;
            return Ok(stop(run_id, &reply, None));
        }
        let to = request.text("to")?;
        let command = command::parse(&format!("goto {to}")).map_err(Failure::Refused)?;
        let (run_id, debugger) = self.debugger(request)?;
        let Some(command) = command else { return Err(no_command(to)) };
        // The answer does not depend on earlier requests: without a process, it is about the first.
        let at = match request.get("process")? {
            Some(_) => {
                let process = request.integer("process")?;
                let none = || Failure::Refused(format!("no events of process {process}"));
                debugger.timeline().extent(process).ok_or_else(none)?.first
            }
            None => debugger.timeline().first(),
        };
        debugger.place(at);
        let reply = debugger.run(command)?;
        Ok(stop(run_id, &reply, None))
    }

    pub(super) fn step(&mut self, request: &Request) -> Answer {
        let step = request.text("step")?;
        let command = match command::parse(step).map_err(Failure::Refused)? {
            Some(command @ Command::Step(..)) => command,
            _ => return Err(no_command(step)),
        };
        let followed = match request.get("follow")?.map(Value::as_str) {
            None | Some(Some("thread")) => command::Followed::Thread,
            Some(Some("task")) => command::Followed::Task,
            Some(_) => return Err(Failure::Protocol("follow is thread or task".to_owned())),
        };
        let only_mine = match request.get("mine")?.map(Value::as_bool) {
            None => false,
            Some(Some(only_mine)) => only_mine,
            Some(None) => return Err(Failure::Protocol("mine is true or false".to_owned())),
        };
        let (run_id, debugger, _) = self.at_position(request)?;
        debugger.run(Command::Follow(Some(followed)))?;
        debugger.set_only_mine(only_mine);
        let reply = debugger.run(command);
        debugger.set_only_mine(false);
        let reply = reply?;
        Ok(stop(run_id, &reply, None))
    }

    pub(super) fn resume(&mut self, request: &Request) -> Answer {
        let direction = direction(request)?;
        let mut commands = Vec::new();
        for place in request.texts("breakpoints")? {
            match command::parse(&format!("break {place}")).map_err(Failure::Refused)? {
                Some(command @ Command::Break { .. }) => commands.push(command),
                _ => return Err(Failure::Refused(format!("break: no place: {place}"))),
            }
        }
        let (run_id, debugger, _) = self.at_position(request)?;
        for command in commands {
            debugger.run(command)?;
        }
        let numbers: Vec<usize> = match debugger.run(Command::Breakpoints)? {
            Reply::Breakpoints(all) => all.into_iter().map(|found| found.number).collect(),
            _ => Vec::new(),
        };
        let reply = debugger.run(Command::Continue(direction))?;
        let index = match &reply {
            Reply::Stop(stop) => stop.breakpoint,
            _ => None,
        };
        let index = index.and_then(|number| numbers.iter().position(|at| *at == number));
        Ok(stop(run_id, &reply, index))
    }

    pub(super) fn stack(&mut self, request: &Request) -> Answer {
        self.reply_to(request, Command::Where)
    }

    pub(super) fn threads(&mut self, request: &Request) -> Answer {
        self.reply_to(request, Command::Threads)
    }

    /// The same, with the frame of the request selected.
    fn in_frame(&mut self, request: &Request) -> Result<(i64, &mut Debugger), Failure> {
        let depth = request.integer("depth")?;
        let (run_id, debugger, _) = self.at_position(request)?;
        if depth > 0 {
            debugger.run(Command::Frame(depth))?;
        }
        if debugger.selected() as i64 != depth {
            return Err(Failure::Refused(format!("no frame {depth}")));
        }
        Ok((run_id, debugger))
    }

    pub(super) fn evaluate(&mut self, request: &Request) -> Answer {
        let expression = request.text("expression")?;
        let (_, debugger) = self.in_frame(request)?;
        match debugger.run(Command::Print(expression.to_owned()))? {
            Reply::Value { text, .. } => {
                Ok(json!({"text": text, "held": tagged::value(&text)}).to_string())
            }
            _ => Err(no_command(expression)),
        }
    }

    pub(super) fn write(&mut self, request: &Request) -> Answer {
        let (path, direction) = (request.text("path")?, direction(request)?);
        let (run_id, debugger) = self.in_frame(request)?;
        Ok(match debugger.nearest_write(path, direction)? {
            Some(reply) => stop(run_id, &reply, None),
            None => Value::Null.to_string(),
        })
    }

    pub(super) fn origin(&mut self, request: &Request) -> Answer {
        let path = request.text("path")?;
        let (run_id, debugger) = self.in_frame(request)?;
        let reply = debugger.run(Command::Origin(path.to_owned()))?;
        Ok(json::json("", run_id, &reply).to_string())
    }

    pub(super) fn source(&mut self, request: &Request) -> Answer {
        let (run_id, debugger) = self.in_frame(request)?;
        let reply = debugger.run(Command::List(None))?;
        Ok(json::json("list", run_id, &reply).to_string())
    }

    /// The reply to a command at the position of the request.
    fn reply_to(&mut self, request: &Request, command: Command) -> Answer {
        let (run_id, debugger, _) = self.at_position(request)?;
        let reply = debugger.run(command)?;
        Ok(json::json("", run_id, &reply).to_string())
    }

    pub(super) fn locals(&mut self, request: &Request) -> Answer {
        let depth = request.integer("depth")?;
        let (_, debugger, _) = self.at_position(request)?;
        let no_frame = |_| Failure::Refused(format!("no frame {depth}"));
        let variables = debugger.locals(usize::try_from(depth).map_err(no_frame)?)?;
        let variables: Vec<Value> = variables
            .iter()
            .map(|variable| {
                json!({
                    "name": variable.name, "scope": variable.scope, "value": variable.value,
                    "object_id": variable.object_id, "held": tagged::value(&variable.value),
                })
            })
            .collect();
        Ok(json!({"depth": depth, "variables": variables}).to_string())
    }
}

fn direction(request: &Request) -> Result<Direction, Failure> {
    match request.text("direction")? {
        "forward" => Ok(Direction::Forward),
        "backward" => Ok(Direction::Backward),
        other => Err(Failure::Protocol(format!("no direction {other}"))),
    }
}

fn no_command(what: &str) -> Failure {
    Failure::Protocol(format!("no step: {what}"))
}

/// A stop as JSON, with the structure of the event's value.
fn stop(run_id: i64, reply: &Reply, breakpoint: Option<usize>) -> String {
    let mut object = json::json("", run_id, reply);
    if let (Reply::Stop(stop), Value::Object(members)) = (reply, &mut object) {
        let held = stop.here.value.as_deref().map(|text| match stop.here.kind.name() {
            Some("PY_START") => tagged::arguments(text),
            _ => tagged::value(text),
        });
        members.insert("held".into(), held.unwrap_or_default());
        members.insert("breakpoint".into(), json!(breakpoint));
    }
    object.to_string()
}
