use clap::Args;

/// Which events. What is not given is not asked about.
#[derive(Debug, Args)]
pub struct Selection {
    /// Of this stream, such as order-018f…
    #[arg(long)]
    stream: Option<String>,
    /// product, inventory, cart or order
    #[arg(long)]
    category: Option<String>,
    /// order.paid.v1, or order.paid for all its versions
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// operator, shopper, or a process by name
    #[arg(long)]
    actor: Option<String>,
    /// Of one purchase: the order's id
    #[arg(long, value_name = "UUID")]
    correlation: Option<String>,
    /// From this day or moment on, in business time
    #[arg(long)]
    from: Option<String>,
    /// Up to the end of this day, or before this moment
    #[arg(long)]
    to: Option<String>,
    /// From this position of the log on
    #[arg(long, value_name = "POSITION")]
    from_position: Option<u64>,
    /// Up to this position
    #[arg(long, value_name = "POSITION")]
    to_position: Option<u64>,
}

impl Selection {
    /// As it stands in an address.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        let position = |position: Option<u64>| position.map(|position| position.to_string());
        [
            ("stream", self.stream.clone()),
            ("category", self.category.clone()),
            ("type", self.event_type.clone()),
            ("actor", self.actor.clone()),
            ("correlation", self.correlation.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("from-position", position(self.from_position)),
            ("to-position", position(self.to_position)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}
