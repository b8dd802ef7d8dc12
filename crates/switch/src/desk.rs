//! What stands behind a port or an issuer's links while messages are turned into events and back; replaced at reload.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use bytes::Bytes;
use iso8583::{Message, Pan};
use keystore::CardKeys;
use store::Place;
use switch_core::{Card, Key, Name, TerminalKey};

use crate::{
    batches::Batches,
    clock::WireClock,
    config::{AcquirerSettings, IssuerSettings, ListenerSettings, Settings},
    counter::Parameters,
    routes::{Merchants, Routes},
};

/// What listeners and links share.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) routes: Routes,
    pub(crate) merchants: Merchants,
    pub(crate) issuers: BTreeMap<Name, Arc<IssuerSettings>>,
    pub(crate) acquirer: AcquirerSettings,
    pub(crate) clock: WireClock,
    /// Within it a copy of a sign-in gets the same batch.
    pub(crate) repeat_window: Duration,
}

impl Directory {
    pub(crate) fn new(settings: &Settings) -> Self {
        let issuer = |issuer: &IssuerSettings| (issuer.name.clone(), Arc::new(issuer.clone()));
        Self {
            routes: Routes::new(&settings.routes),
            merchants: Merchants::new(&settings.merchants),
            issuers: settings.issuers.iter().map(issuer).collect(),
            acquirer: settings.acquirer.clone(),
            clock: WireClock::new(settings.day.zone.clone()),
            repeat_window: settings.day.repeat_window,
        }
    }
}

/// What a port's connections need.
pub(crate) struct Desk {
    pub(crate) listener: ListenerSettings,
    pub(crate) directory: Arc<Directory>,
    pub(crate) keys: Arc<CardKeys>,
    pub(crate) batches: Arc<Batches>,
    /// What terminals fetch; none where nothing is kept for them.
    pub(crate) parameters: Option<Arc<Parameters>>,
}

impl Desk {
    /// The answer, with what it asks of its terminal in the head: to fetch what it lacks.
    pub(crate) fn with_requirement(&self, mut answer: Message) -> Message {
        let (Some(parameters), Some(header)) = (&self.parameters, answer.header()) else {
            return answer;
        };
        let elements = self.listener.dialect.elements();
        let bare = |element| self.listener.dialect.element(&answer, element);
        let (Some(merchant), Some(terminal)) = (bare(elements.merchant), bare(elements.terminal))
        else {
            return answer;
        };
        let key = self.terminal_key(merchant.trim_end().as_bytes(), terminal.trim_end().as_bytes());
        if let Some(digit) = parameters.requirement(&self.batches, key) {
            let header = header.with_requirement(digit);
            answer.set_header(header);
        }
        answer
    }

    /// Whose batch it is.
    pub(crate) fn place(&self, terminal: TerminalKey, merchant: Bytes, name: Bytes) -> Place {
        let listener = &self.listener;
        Place {
            terminal,
            domain: listener.domain.clone(),
            merchant,
            name,
            listener: listener.name.clone(),
        }
    }

    /// Whose request it is: a hash of domain, merchant and terminal that never changes.
    pub(crate) fn terminal_key(&self, merchant: &[u8], terminal: &[u8]) -> TerminalKey {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [self.listener.domain.as_bytes(), merchant, terminal] {
            hash.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finish();
        let mut key = [0; 8];
        for (to, from) in key.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        TerminalKey(key)
    }
}

/// What is kept of a card: sealed together with its expiry (14) where the message had one, and bound to the identity.
pub(crate) fn seal(keys: &CardKeys, pan: &Pan, expiry: Option<&str>, key: Key) -> Option<Card> {
    let plain = [pan.expose(), ";", expiry.unwrap_or("")].map(str::as_bytes);
    let sealed = keys.seal_parts(&plain, &key.0).ok()?;
    let mut card = Card { hash: keys.hash(pan), sealed: sealed.into(), ..Card::default() };
    card.first6.copy_from_slice(pan.first6().as_bytes().get(..6)?);
    card.last4.copy_from_slice(pan.last4().as_bytes().get(..4)?);
    Some(card)
}

/// The card number and expiry that were sealed.
pub(crate) fn unseal(keys: &CardKeys, card: &Card, key: Key) -> Option<(Pan, Option<String>)> {
    if card.sealed.is_empty() {
        return None;
    }
    let plain = match keys.open(&card.sealed, &key.0) {
        Ok(plain) => plain,
        Err(error) => {
            tracing::error!(%error, "a sealed card cannot be opened: was the key file changed?");
            return None;
        }
    };
    let (pan, expiry) = std::str::from_utf8(&plain).ok()?.split_once(';')?;
    Some((Pan::new(pan).ok()?, Some(expiry.to_owned()).filter(|expiry| !expiry.is_empty())))
}
