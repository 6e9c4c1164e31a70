use super::Event;
use crate::stored::stored_events;

stored_events!(Event {
    "order.placed.v1" => Placed,
    "order.reservations_answered.v1" => ReservationsAnswered,
    "order.payment_recorded.v1" => PaymentRecorded,
    "order.payment_requested.v1" => PaymentRequested,
    "order.payment_started.v1" => PaymentStarted,
    "order.payment_authorized.v1" => PaymentAuthorized,
    "order.payment_declined.v1" => PaymentDeclined,
    "order.payment_captured.v1" => PaymentCaptured,
    "order.payment_voided.v1" => PaymentVoided,
    "order.paid.v1" => Paid,
    "order.stock_committed.v1" => StockCommitted,
    "order.processing_started.v1" => ProcessingStarted,
    "order.shipment_sent.v1" => ShipmentSent,
    "order.shipment_delivered.v1" => ShipmentDelivered,
    "order.shipped.v1" => Shipped,
    "order.stock_shipped.v1" => StockShipped,
    "order.delivered.v1" => Delivered,
    "order.cancelled.v1" => Cancelled,
    "order.stock_released.v1" => StockReleased,
    "order.refund_requested.v1" => RefundRequested,
    "order.refund_refused.v1" => RefundRefused,
    "order.refund_recorded.v1" => RefundRecorded,
    "order.refunded.v1" => Refunded,
});
