//! An issuer that another project wrote: `iso8583_rs` parses, answers and frames. It has a process of its own, since it has
//! one specification a process, prints what it reads, and panics on what it does not expect.
//!
//! `SPEC_FILE=foreign.yaml foreign_issuer ADDRESS AMOUNT`: answers all but sales of AMOUNT, which it charges in silence.

#![expect(clippy::print_stdout, reason = "its output is its ledger")]

use std::{env, thread};

use iso8583_rs::iso8583::{
    IsoError,
    iso_spec::{IsoMsg, new_msg, spec},
    mli::MLIType,
    server::{ISOServer, MsgProcessor},
};

/// What it echoes, where the request has it.
const ECHOED: [u32; 11] = [2, 3, 4, 7, 11, 12, 13, 37, 41, 42, 49];

struct Host {
    silent_for: String,
}

impl MsgProcessor for Host {
    fn process(
        &self,
        server: &ISOServer,
        message: &mut Vec<u8>,
    ) -> Result<(Vec<u8>, IsoMsg), IsoError> {
        let asked = server.spec.parse(message).map_err(|error| IsoError { msg: error.msg })?;
        let text = |position| asked.bmp_child_value(position).unwrap_or_default();
        let (kind, answer) = match asked.get_field_value(&"message_type".to_owned())?.as_str() {
            "0200" => ("charged", "0210"),
            "0400" | "0401" => ("reversed", "0410"),
            _ => ("network", "0810"),
        };
        println!("I {kind} {} {}", text(37), text(4));
        if kind == "charged" && text(4) == self.silent_for {
            return Err(IsoError { msg: "silent".to_owned() });
        }
        let mut out = new_msg(asked.spec, asked.msg);
        out.set("message_type", answer)?;
        let there: Vec<u32> = ECHOED.into_iter().filter(|at| asked.bmp.is_on(*at)).collect();
        out.echo_from(&asked, &there)?;
        if kind == "charged" {
            out.set_on(38, "A12345")?;
        }
        out.set_on(39, "00")?;
        Ok((out.assemble()?, out))
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().expect("an address");
    let silent_for = arguments.next().expect("an amount");
    let host = Box::new(Host { silent_for });
    let server = ISOServer::new(address, spec(""), MLIType::MLI2E, host);
    let server = server.map_err(|error| error.msg).expect("an address");
    server.start();
    loop {
        thread::park();
    }
}
