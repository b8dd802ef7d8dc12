//! From the sections of the file to the settings of the runtime.

use std::sync::Arc;

use iso8583::Dialect;
use switch::config as runtime;

use super::{
    Config,
    settings::{Issuer, Listener, MerchantLimits, Reconnect, Reversal},
    text::{Framing, Keepalive, Name, ResponseCode},
    value::Count,
};

impl Config {
    /// The settings of the runtime; none if a dialect was not loaded, which `load` has refused.
    pub(crate) fn runtime(&self) -> Option<runtime::Settings> {
        let settings = &self.settings;
        let day = &settings.day.0;
        Some(runtime::Settings {
            node: runtime::NodeSettings {
                id: settings.node.0.id.0.clone(),
                drain_timeout: settings.node.0.drain_timeout.0,
                threads: settings.node.0.threads.0,
            },
            day: runtime::DaySettings {
                zone_name: day.zone.0.clone(),
                zone: jiff::tz::TimeZone::get(&day.zone.0).ok()?,
                cutover: day.cutover.0,
                overlap: day.overlap.0,
                repeat_window: day.repeat_window.0,
            },
            store: runtime::StoreSettings {
                url: self.store_url(),
                connections: settings.store.0.connections.0,
                migrate: settings.store.0.migrate,
            },
            card_data: runtime::CardDataSettings { key_file: self.key_file() },
            acquirer: runtime::AcquirerSettings {
                institution: settings.acquirer.0.institution.0.clone(),
                forwarding: settings.acquirer.0.forwarding.0.clone(),
            },
            listeners: settings
                .listener
                .0
                .iter()
                .map(|l| self.listener(l))
                .collect::<Option<_>>()?,
            issuers: settings.issuer.0.iter().map(|i| self.issuer(i)).collect::<Option<_>>()?,
            routes: settings
                .route
                .0
                .iter()
                .map(|route| runtime::RouteSettings {
                    prefixes: route.prefixes.0.iter().map(|prefix| prefix.0.clone()).collect(),
                    issuer: Arc::from(route.issuer.0.as_str()),
                })
                .collect(),
            merchants: settings
                .merchant
                .0
                .iter()
                .map(|merchant| runtime::MerchantSettings {
                    id: merchant.id.0.clone(),
                    name: merchant.name.0.as_ref().map(|name| name.0.clone()),
                    mcc: merchant.mcc.0.as_ref().map(|mcc| mcc.0.clone()),
                    terminals: merchant.terminals.0.iter().map(|t| t.0.clone()).collect(),
                    limits: limits(&merchant.limits.0),
                })
                .collect(),
            parameters: self.parameters(),
            bounds: runtime::Bounds::default(),
        })
    }

    fn dialect(&self, name: &Name) -> Option<Arc<Dialect>> {
        self.dialects.get(&name.0).cloned()
    }

    fn listener(&self, listener: &Listener) -> Option<runtime::ListenerSettings> {
        let dialect = self.dialect(&listener.dialect)?;
        Some(runtime::ListenerSettings {
            name: Arc::from(listener.name.0.as_str()),
            listen: listener.listen.to_string(),
            framing: framing(listener.framing.0, &dialect),
            dialect,
            domain: listener.domain.0.clone(),
            response_deadline: listener.response_deadline.0,
            undelivered_grace: listener.undelivered_grace.0,
            idle_timeout: listener.idle_timeout.0,
            max_connections: number(listener.max_connections),
            max_frame: number(listener.max_frame),
            proxy_protocol: listener.proxy_protocol,
            keepalive: match listener.keepalive {
                Keepalive::Count => runtime::Keepalive::Count,
                Keepalive::Echo => runtime::Keepalive::Echo,
            },
        })
    }

    fn issuer(&self, issuer: &Issuer) -> Option<runtime::IssuerSettings> {
        let dialect = self.dialect(&issuer.dialect)?;
        Some(runtime::IssuerSettings {
            name: Arc::from(issuer.name.0.as_str()),
            foreign: issuer.foreign,
            framing: framing(issuer.framing.0, &dialect),
            dialect,
            endpoints: issuer.endpoints.0.iter().map(ToString::to_string).collect(),
            connections: number(issuer.connections),
            timeout: issuer.timeout.0,
            max_in_flight: number(issuer.max_in_flight),
            sign_on: issuer.sign_on,
            echo_interval: issuer.echo_interval.0,
            reconnect: reconnect(&issuer.reconnect.0),
            unknown_codes: codes(&issuer.unknown_codes.0),
            max_per_second: issuer.max_per_second.0,
            reversal: reversal(&issuer.reversal.0),
            idempotent_advices: issuer.idempotent_advices,
        })
    }
}

fn limits(limits: &MerchantLimits) -> runtime::OriginalLimits {
    fn of<const LOW: u32, const HIGH: u32>(count: Option<Count<LOW, HIGH>>) -> Option<u16> {
        count.and_then(|count| u16::try_from(count.0).ok())
    }
    runtime::OriginalLimits {
        refund_days: of(limits.refund_days.0),
        completion_days: of(limits.completion_days.0),
        completion_percent: of(limits.completion_percent.0),
        tip_percent: of(limits.tip_percent.0),
    }
}

fn reconnect(reconnect: &Reconnect) -> runtime::ReconnectSettings {
    runtime::ReconnectSettings {
        first: reconnect.first.0,
        factor: reconnect.factor.0,
        longest: reconnect.longest.0,
    }
}

fn reversal(reversal: &Reversal) -> runtime::ReversalSettings {
    runtime::ReversalSettings {
        first: reversal.first.0,
        factor: reversal.factor.0,
        longest: reversal.longest.0,
        attempts: reversal.attempts.0,
        max_in_flight: number(reversal.max_in_flight),
        final_codes: codes(&reversal.final_codes.0),
    }
}

fn codes(codes: &[ResponseCode]) -> Vec<iso8583::Code> {
    codes.iter().map(|code| code.0).collect()
}

fn framing(own: Option<Framing>, dialect: &Dialect) -> iso8583::Framing {
    match own {
        Some(Framing::Len2) => iso8583::Framing::Len2,
        Some(Framing::Ascii4) => iso8583::Framing::Ascii4,
        None => dialect.framing(),
    }
}

fn number<const LOW: u32, const HIGH: u32>(count: Count<LOW, HIGH>) -> usize {
    usize::try_from(count.0).unwrap_or(usize::MAX)
}
