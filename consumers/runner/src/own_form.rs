use event_store::RecordedEvent;

/// A stream that a consumer keeps for itself, and how what it writes there looks: whoever watches over the log tells by it
/// what strangers have written.
#[derive(Debug, Clone, Copy)]
pub struct OwnForm {
    /// The first of its names, as [`event_store::OwnStream`] has them.
    pub stream: &'static str,
    /// Whether the event may be the consumer's own.
    pub is_ours: fn(&RecordedEvent) -> bool,
}
