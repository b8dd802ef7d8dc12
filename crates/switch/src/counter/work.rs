//! An errand is done: the store is asked, and the terminal told. Nothing here is cancelled in the middle.

use std::sync::Arc;

use iso8583::{Cause, Code};
use link::Slip;
use store::{
    Balance, Ended, Opening, Settled, Settlement, SignIn, StoreError, Totals, UploadEnd, Uploaded,
};
use switch_core::{Event, TerminalKey};
use tokio::sync::oneshot;

use super::{
    Clerk, Job, Told,
    errand::{Errand, Fetch, What, rules},
    parameters::Role,
    refused,
    told::Says,
};
use crate::{
    batches::Verdict,
    input::{Input, OpenAsk, ReplyReceipt, ToTerminal},
    telemetry,
};

/// Asks the terminal to upload again: what came is not what it counts.
const UPLOAD_AGAIN: &str = "79";

impl Clerk {
    pub(super) async fn work(&self, ask: Arc<OpenAsk>, job: Job) {
        match job {
            Job::Look(terminal, event) => {
                let event = match self.batches.look(&self.store, terminal).await {
                    Ok(()) if self.belongs(&ask, &event) => event,
                    Ok(()) => refused(event, Cause::BatchDiffers),
                    Err(error) => {
                        self.outage.failed("a terminal's batch could not be read", &error);
                        refused(event, Cause::SystemDown)
                    }
                };
                self.inputs.send(Input::Ask(ask, event));
            }
            Job::Errand(errand) => {
                let answer = self.errand(&ask, &errand).await;
                if answer.is_ok() {
                    self.outage.over();
                }
                let answer = answer.unwrap_or_else(|error| {
                    self.outage.failed("a terminal's errand could not be done", &error);
                    self.batches.doubt(errand.place.terminal);
                    match errand.what {
                        // Its answer has no code that could say so: the terminal asks again.
                        What::Settle(_) => None,
                        What::SignIn
                        | What::SignOff
                        | What::Report(_)
                        | What::Fetch(_)
                        | What::Upload(_)
                        | What::EndUpload(_) => Some(Told::refused(Cause::SystemDown)),
                    }
                });
                tell(ask, answer);
            }
        }
    }

    /// Whether the request belongs to its terminal's batch, now that the store was asked.
    fn belongs(&self, ask: &OpenAsk, event: &Event) -> bool {
        let Event::Request(request) = event else { return true };
        let (terminal, number) = (request.key.terminal(), request.key.batch());
        let verdict = self.batches.check(terminal, number, || Opening {
            place: ask.desk.place(terminal, request.merchant.clone(), request.terminal.clone()),
            number,
            at: ask.read.wall,
        });
        verdict == Verdict::Same
    }

    async fn errand(&self, ask: &OpenAsk, errand: &Errand) -> Result<Option<Told>, StoreError> {
        // The store must know of the batch before it is asked about it.
        self.batches.write(&self.store).await?;
        let answer = match &errand.what {
            What::SignIn => self.sign_in(ask, errand).await?,
            What::SignOff => Told::done(),
            What::Report(fetch) => self.report(ask, errand, fetch).await?,
            What::Fetch(fetch) => self.fetch(ask, errand, fetch).await?,
            What::Settle(asked) => return self.settle(ask, errand, asked).await.map(Some),
            What::Upload(lines) => {
                let terminal = errand.place.terminal;
                match self.store.upload(terminal, errand.batch, lines).await? {
                    Uploaded::Taken => Told::done(),
                    Uploaded::NotSettled => Told::refused(Cause::OriginalNotFound),
                    Uploaded::TooMany => Told::refused(Cause::NotSupported),
                }
            }
            What::EndUpload(count) => self.end_upload(ask, errand, *count).await?,
        };
        Ok(Some(answer))
    }

    async fn sign_in(&self, ask: &OpenAsk, errand: &Errand) -> Result<Told, StoreError> {
        let institution = Some(ask.desk.directory.acquirer.institution.clone());
        if ask.desk.listener.dialect.elements().batch.is_none() {
            return Ok(Told { institution, ..Told::done() });
        }
        let window = i64::try_from(ask.desk.directory.repeat_window.as_micros());
        let sign_in = SignIn {
            place: errand.place.clone(),
            stan: errand.stan,
            brought: errand.batch,
            at: ask.read.wall,
            window: window.unwrap_or(i64::MAX),
        };
        let given = self.store.sign_in(&sign_in).await?;
        self.batches.look(&self.store, errand.place.terminal).await?;
        let (batch, at) = (Some(given.batch), Some(given.at));
        Ok(Told { batch, at, institution, ..Told::done() })
    }

    /// Nothing new belongs to the batch from here on; what came before and is not concluded stands against it.
    async fn settle(
        &self,
        ask: &OpenAsk,
        errand: &Errand,
        asked: &Totals,
    ) -> Result<Told, StoreError> {
        let terminal = errand.place.terminal;
        self.batches.settling(terminal, true);
        let settled = self.settled(ask, errand, asked).await;
        let looked = self.batches.look(&self.store, terminal).await;
        self.batches.settling(terminal, false);
        let settled = settled?;
        looked?;
        let (answer, result) = match settled {
            Settled::Closed { field, balanced, at, day, repeated } => {
                let result = match (repeated, balanced) {
                    (true, _) => "repeated",
                    (false, true) => "balanced",
                    (false, false) => "unbalanced",
                };
                let (at, day, totals) = (Some(at), Some(day), Some(field));
                (Told { at, day, totals, ..Told::new(Says::Nothing) }, result)
            }
            Settled::InFlight => {
                let totals = Some(asked.field([Balance::Error; 2]));
                (Told { totals, ..Told::new(Says::Nothing) }, "in_flight")
            }
            Settled::Differs => (Told::refused(Cause::BatchDiffers), "refused"),
        };
        telemetry::settled(result);
        Ok(answer)
    }

    async fn settled(
        &self,
        ask: &OpenAsk,
        errand: &Errand,
        asked: &Totals,
    ) -> Result<Settled, StoreError> {
        if self.is_busy(errand.place.terminal).await {
            return Ok(Settled::InFlight);
        }
        let settlement = Settlement {
            place: errand.place.clone(),
            number: errand.batch,
            stan: errand.stan,
            asked: *asked,
            at: ask.read.wall,
        };
        self.store.settle(&settlement, &rules(&ask.desk)).await
    }

    /// Whether a message of this terminal waits at the engine: it was read before, and may become a row of the batch.
    async fn is_busy(&self, terminal: TerminalKey) -> bool {
        let (tell, told) = oneshot::channel();
        self.inputs.send(Input::Busy(terminal, tell));
        told.await.unwrap_or(true)
    }

    async fn end_upload(
        &self,
        ask: &OpenAsk,
        errand: &Errand,
        count: u64,
    ) -> Result<Told, StoreError> {
        let end = UploadEnd {
            place: errand.place.clone(),
            batch: errand.batch,
            count,
            at: ask.read.wall,
        };
        let answer = match self.store.end_upload(&end, &rules(&ask.desk)).await? {
            Ended::Compared { cases, repeated } => {
                if !repeated {
                    telemetry::cases_opened(cases);
                }
                Told::done()
            }
            Ended::CountDiffers => match Code::new(UPLOAD_AGAIN) {
                Ok(code) => Told::new(Says::Code(code)),
                Err(_) => Told::refused(Cause::Format),
            },
            Ended::NotSettled => Told::refused(Cause::OriginalNotFound),
        };
        Ok(answer)
    }

    async fn report(
        &self,
        ask: &OpenAsk,
        errand: &Errand,
        fetch: &Fetch,
    ) -> Result<Told, StoreError> {
        self.store.report(&errand.place, &fetch.code, ask.read.wall).await?;
        let parameters = ask.desk.parameters.as_ref();
        if parameters.is_some_and(|parameters| parameters.find(&fetch.code).is_some()) {
            return self.fetch(ask, errand, fetch).await;
        }
        Ok(Told::done())
    }

    async fn fetch(
        &self,
        ask: &OpenAsk,
        errand: &Errand,
        fetch: &Fetch,
    ) -> Result<Told, StoreError> {
        let parameters = ask.desk.parameters.as_ref();
        let Some((file, role)) = parameters.and_then(|known| known.find(&fetch.code)) else {
            return Ok(Told::refused(Cause::NotSupported));
        };
        let (place, version) = (&errand.place, &file.version);
        let part = file.part(role, &fetch.asked);
        match role {
            Role::List | Role::Fetch if part.first => {
                self.store.begin_fetch(place, &file.name, version, true).await?;
            }
            Role::Fetch if file.is_by_record() && part.is_there() => {
                self.store.begin_fetch(place, &file.name, version, false).await?;
            }
            Role::List | Role::Fetch => {}
            Role::End => {
                self.store.end_fetch(place.terminal, &file.name, version).await?;
                self.batches.look(&self.store, place.terminal).await?;
                return Ok(Told::done());
            }
        }
        if part.last {
            self.store.end_fetch(place.terminal, &file.name, version).await?;
            self.batches.look(&self.store, place.terminal).await?;
        }
        Ok(Told { parameters: Some(part.bytes), ..Told::done() })
    }
}

/// Hands the answer to the terminal's connection, which gives it if it is still in time.
fn tell(ask: Arc<OpenAsk>, answer: Option<Told>) {
    let connection = ask.connection.clone();
    let command = match answer {
        Some(answer) => {
            let slip = Slip::new(ReplyReceipt::Other(ask.read.mono));
            ToTerminal::Told(Box::new((ask, answer, slip)))
        }
        None => ToTerminal::Silent(ask.id),
    };
    let _ = connection.send(command);
}
