//! Starts both sides, sends the steps, and puts everything away again.

use std::io;

use tokio::net::TcpListener;

use super::caps;
use super::client::Client;
use super::guard::{Folder, Running};
use super::steps::{Expected, MOST_REPEATS, STEPS, Step, TokenIn};
use super::tell::{Met, Teller};
use crate::simulator::{CountHandling, DEV_TOKEN, Options, Simulator};

/// How many messages the simulator holds at the start.
const MESSAGES: usize = 40;

/// Runs the demo on standard output: whether everything met what it should.
pub(super) fn run() -> io::Result<bool> {
    let mut teller = Teller::new(anstream::stdout());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let requests = refusals(&mut teller).await?;
        let cases = caps::run().await?;
        let caps = teller.caps(&cases)?;
        teller.end(requests && caps)?;
        Ok(requests && caps)
    })
}

/// The steps, and the trail that they leave.
async fn refusals<W: io::Write>(teller: &mut Teller<W>) -> io::Result<bool> {
    let simulator = Simulator::new(Options {
        messages: MESSAGES,
        count: CountHandling::Honoured,
        ..Options::default()
    });
    let folder = Folder::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    let guard = Running::start(upstream, folder.path(), "")?;
    teller.begin(MESSAGES, upstream, guard.address)?;
    let mut client = Client::connect(guard.address).await?;
    let mut as_expected = true;
    for (index, step) in STEPS.iter().enumerate() {
        let before = simulator.requests();
        let met = meet(&mut client, step).await?;
        let untouched = simulator.requests() - before == met.passed;
        let ok = met.is(step.expected) && untouched;
        as_expected &= ok;
        teller.step(index + 1, step, &met, simulator.pending(), ok)?;
    }
    drop(client);
    guard.stop().await?;
    Ok(teller.trail(folder.path())? && as_expected)
}

/// Sends a step, more than once where it says so.
async fn meet(client: &mut Client, step: &Step) -> io::Result<Met> {
    let mut met = send(client, step).await?;
    if let Expected::RefusedInTheEnd(_) = step.expected {
        for _ in 1..MOST_REPEATS {
            if met.code.is_some() {
                break;
            }
            let next = send(client, step).await?;
            met = Met {
                passed: met.passed + next.passed,
                ..next
            };
        }
    }
    Ok(met)
}

async fn send(client: &mut Client, step: &Step) -> io::Result<Met> {
    let answer = match step.token {
        TokenIn::Header => client.send(step.method, step.target, step.body).await?,
        TokenIn::Query => {
            let target = format!("{}?qstash_token={DEV_TOKEN}", step.target);
            client.send(step.method, &target, step.body).await?
        }
    };
    Ok(Met {
        status: answer.status,
        passed: u64::from(answer.code.is_none()),
        code: answer.code,
        error: answer.error,
    })
}
