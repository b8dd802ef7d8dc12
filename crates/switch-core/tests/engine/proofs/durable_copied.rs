use switch_core::Durable;

fn twice(durable: Durable) -> (Durable, Durable) {
    (durable.clone(), durable)
}

fn main() {}
