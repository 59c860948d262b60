//! `exception_chain`: an exception, its cause, the cause of that, and so on.

use super::int;
use super::question::{Answer, Cell, Question, code, integer};
use crate::state::State;
use crate::store::{Error, Process, Raised, Store};
use crate::tables::plan::Value;
use dashcam_schema::calls::Site;
use dashcam_schema::event::EventKind;
use std::rc::Rc;

columns! {
    LEVEL RELATION TYPE MESSAGE SEQ THREAD_ID CALL_ID QUALNAME PATH LINE ARGUMENTS RUN_ID RAISED_SEQ
}

/// The largest number of links. Chains can be circular.
const LINKS_MAX: i64 = 100;

const RAISE: u8 = EventKind::RAISE.number();

pub(crate) struct ExceptionChain;

impl Question for ExceptionChain {
    const NAME: &'static str = "exception_chain";
    const RUN_ID: usize = RUN_ID;
    const ARGUMENTS: &'static [usize] = &[RUN_ID, RAISED_SEQ];
    const ROWS: f64 = 2.0;
    const COST: f64 = 1e4;

    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error> {
        let seq = integer(arguments, 0);
        let Some(mut link) = raise_at(store, run_id, seq)? else {
            let what = format!(
                "exception_chain: no exception was raised at {seq} in run {run_id}; exceptions.seq says where some were"
            );
            return Err(Error::NotThere { what });
        };
        let mut relation = "raised";
        let mut rows = Answer::new();
        for level in 0..LINKS_MAX {
            rows.push(link.row(store, level, relation)?);
            let Some(raised) = link.raised.take() else { break };
            // As in a traceback: the exception after `from`, or else the one that was being
            // handled.
            let (next, id) = match (raised.cause_id, raised.context_id) {
                (Some(id), _) => ((raised.cause, "cause"), id),
                (None, Some(id)) => ((raised.context, "context"), id),
                (None, None) => break,
            };
            relation = next.1;
            let Some(text) = next.0 else { break };
            match raise_of(store, &link, &text, id)? {
                Some(found) => link = found,
                // It was never raised, or raised in code that was not recorded.
                None => {
                    let name = text.split('(').next().unwrap_or_default().to_owned();
                    let mut cells = vec![Cell::Null; 11];
                    cells[LEVEL] = Cell::Int(level + 1);
                    cells[RELATION] = Cell::text(Some(relation));
                    cells[TYPE] = Cell::text(Some(name));
                    let arguments = text.find('(').map(|at| &text[at..]);
                    cells[ARGUMENTS] = Cell::text(arguments);
                    rows.push(cells);
                    break;
                }
            }
        }
        Ok(rows)
    }
}

/// An exception where it was raised.
#[derive(Clone)]
struct Link {
    run_id: i64,
    chunk: usize,
    seq: i64,
    thread: u32,
    site: Site,
    /// The exception's number in its process.
    exception: u32,
    r#type: Option<String>,
    message: Option<String>,
    raised: Option<Raised>,
}

impl Link {
    fn row(&self, store: &Rc<Store>, level: i64, relation: &str) -> Result<Vec<Cell>, Error> {
        let process = store.process(&store.chunks()[self.chunk]);
        let code = code(store, process, self.site.code);
        let texts = &store.directory().texts;
        let name = code.and_then(|code| texts.get(code.qualname));
        let path = code.and_then(|code| texts.get(code.path));
        let stack = State::of(store).stack_at(self.run_id, self.seq)?;
        let arguments = self.raised.as_ref().and_then(|raised| raised.arguments.as_deref());
        Ok(vec![
            Cell::Int(level),
            Cell::text(Some(relation)),
            Cell::text(self.r#type.as_deref()),
            Cell::text(self.message.as_deref()),
            Cell::Int(self.seq),
            Cell::int(process.threads.get(&self.thread).copied()),
            Cell::int(stack.first().map(|frame| int(frame.call_id))),
            Cell::text(name),
            Cell::text(path),
            Cell::int(store.line(process, self.site)),
            Cell::text(arguments),
        ])
    }
}

/// The exception that the event at a position raises.
fn raise_at(store: &Store, run_id: i64, seq: i64) -> Result<Option<Link>, Error> {
    let Some((chunk, _)) = store.locate(run_id, seq) else { return Ok(None) };
    let mut found = raises(store, chunk)?;
    found.retain(|link| link.seq == seq);
    let Some(mut link) = found.pop() else { return Ok(None) };
    link.raised = store.raised_at(run_id, seq)?;
    Ok(Some(link))
}

/// Where an exception was first raised that is the cause or context of another one. `text` is a
/// quick test of its class; `id` decides.
fn raise_of(store: &Store, after: &Link, text: &str, id: u64) -> Result<Option<Link>, Error> {
    let chunks = store.chunks();
    let process_id = chunks[after.chunk].process_id;
    let is_class = |link: &Link| {
        let name = link.r#type.as_deref().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        text.trim_start_matches('<').contains(name)
    };
    let mut best: Option<Link> = None;
    for chunk in (0..=after.chunk).rev() {
        let header = &chunks[chunk];
        if header.run_id != after.run_id {
            break;
        }
        if header.process_id != process_id || header.kinds & 1 << RAISE == 0 {
            continue;
        }
        let mut found = raises(store, chunk)?;
        found.retain(|link| link.seq < after.seq && is_class(link));
        if best.is_none() {
            for link in found.iter().rev() {
                let raised = store.raised_at(link.run_id, link.seq)?;
                if raised.as_ref().is_some_and(|raised| raised.object_id == Some(id)) {
                    best = Some(Link { raised, ..link.clone() });
                    break;
                }
            }
        }
        // An exception is raised again in each frame that it passes through.
        let Some(known) = &best else { continue };
        let first = found.into_iter().find(|link| link.exception == known.exception);
        let Some(first) = first else { break };
        best = Some(Link { raised: best.and_then(|known| known.raised), ..first });
    }
    Ok(best)
}

/// The exceptions that are raised in a chunk. A damaged chunk is noted.
fn raises(store: &Store, chunk: usize) -> Result<Vec<Link>, Error> {
    let header = &store.chunks()[chunk];
    let process: &Process = store.process(header);
    let mut found: Vec<Link> = Vec::new();
    let read = store.recorded(chunk).and_then(|recorded| {
        recorded.each(|step| {
            if step.site.kind == RAISE {
                found.push(Link {
                    run_id: header.run_id,
                    chunk,
                    seq: header.first_seq + step.index as i64,
                    thread: step.thread,
                    site: step.site,
                    exception: step.exception,
                    r#type: None,
                    message: None,
                    raised: None,
                });
            }
        })?;
        for link in &mut found {
            let Some(entry) = recorded.exception(link.exception)? else { continue };
            let name = process.exception_types.get(&entry.exception_type);
            let name = name.and_then(|name| store.directory().texts.get(*name));
            link.r#type = name.map(str::to_owned);
            link.message = Some(entry.message.clone());
        }
        Ok(())
    });
    match read {
        Ok(()) => Ok(found),
        Err(error) => store.note(chunk, error).map(|()| Vec::new()),
    }
}
