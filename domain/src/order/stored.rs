use super::Event;
use crate::stored::stored_events;

stored_events!(Event {
    "order.placed.v1" => Placed,
    "order.reservations_answered.v1" => ReservationsAnswered,
    "order.payment_recorded.v1" => PaymentRecorded,
    "order.paid.v1" => Paid,
    "order.stock_committed.v1" => StockCommitted,
    "order.processing_started.v1" => ProcessingStarted,
    "order.shipped.v1" => Shipped,
    "order.stock_shipped.v1" => StockShipped,
    "order.delivered.v1" => Delivered,
    "order.cancelled.v1" => Cancelled,
    "order.stock_released.v1" => StockReleased,
    "order.refund_recorded.v1" => RefundRecorded,
    "order.refunded.v1" => Refunded,
});
