//! A terminal that another project wrote: `iso8583_rs` packs, frames and parses. It has a process of its own, as the issuer.
//!
//! `SPEC_FILE=foreign.yaml foreign_terminal ADDRESS COUNT SILENT`: COUNT sales one after the other, of which number SILENT has
//! the amount that the issuer does not answer.

#![expect(clippy::print_stdout, reason = "its output is its ledger")]

use std::env;

use iso8583_rs::iso8583::{
    IsoError,
    client::ISOTcpClient,
    iso_spec::{IsoMsg, new_msg, spec},
    mli::MLIType,
};

fn sale(number: u32, silent: u32) -> Result<IsoMsg, IsoError> {
    let spec = spec("");
    let mut sale = new_msg(spec, spec.get_message_from_header("0200")?);
    let amount = if number == silent { 66_600 } else { 1_000 + number };
    sale.set("message_type", "0200")?;
    for (position, value) in [
        (2, "6200000000000005".to_owned()),
        (3, "000000".to_owned()),
        (4, format!("{amount:012}")),
        (7, "1123101500".to_owned()),
        (11, format!("{number:06}")),
        (12, "181500".to_owned()),
        (13, "1123".to_owned()),
        (41, "FOREIGN1".to_owned()),
        (42, "FOREIGN00000001".to_owned()),
        (49, "156".to_owned()),
    ] {
        sale.set_on(position, &value)?;
    }
    Ok(sale)
}

fn main() {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().expect("an address");
    let count: u32 = arguments.next().and_then(|count| count.parse().ok()).expect("a count");
    let silent: u32 = arguments.next().and_then(|number| number.parse().ok()).expect("a number");
    let mut client = ISOTcpClient::new(&address, spec(""), MLIType::MLI2E);
    for number in 1..=count {
        let answer = sale(number, silent).and_then(|sale| client.send(&sale));
        let answer = answer.expect("an answer");
        let text = |position| answer.bmp_child_value(position).unwrap_or_default();
        println!("T {} {} {} {}", text(11), text(39), text(37), text(4));
    }
}
