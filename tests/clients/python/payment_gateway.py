"""What Stripe's official Python SDK must find true of the sandbox gateway. Run by scripts/test-clients."""

import faulthandler
import http.client
import http.server
import queue
import threading
import unittest
import urllib.parse
import uuid

import stripe

from server import DEADLINE_SECONDS, Server

SECRET_KEY = "sk_test_emporium"
WEBHOOK_SECRET = "whsec_scenarios"


class Receiver(http.server.ThreadingHTTPServer):
    """A shop's address for webhooks: keeps what comes, as it came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.received = queue.SimpleQueue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/webhooks"


class ReceiverHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Scenario(unittest.TestCase):
    """A sandbox of its own for each class of scenarios, with somebody who receives its webhooks."""

    @classmethod
    def setUpClass(cls):
        cls.receiver = Receiver()
        cls.addClassCleanup(cls.receiver.server_close)
        cls.addClassCleanup(cls.receiver.shutdown)
        cls.server = Server(
            "sandbox-gateway",
            *("--webhook-url", cls.receiver.url, "--webhook-secret", WEBHOOK_SECRET),
            *("--processing-ms", "200"),
        )
        cls.addClassCleanup(cls.server.discard)
        cls.server.start()

    def setUp(self):
        # A call that hangs for good must fail too, and say where it hangs.
        faulthandler.dump_traceback_later(4 * DEADLINE_SECONDS, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        self.client = self.connect(SECRET_KEY)

    def connect(self, key, **more):
        more = {"max_network_retries": 0, **more}
        return stripe.StripeClient(key, base_addresses={"api": f"http://{self.server.address}"}, **more)

    @property
    def intents(self):
        return self.client.v1.payment_intents

    @property
    def refunds(self):
        return self.client.v1.refunds

    def authorize(self, token="pm_card_visa", amount=4200, key=None, **more):
        params = {
            "amount": amount,
            "currency": "gbp",
            "payment_method": token,
            "confirm": True,
            "capture_method": "manual",
            **more,
        }
        return self.intents.create(params, {"idempotency_key": key or str(uuid.uuid4())})

    def told(self, kind, intent_id):
        """Waits for the webhook of this kind about this intent, and lets the SDK check every one on the way."""
        while True:
            try:
                body, signature = self.receiver.received.get(timeout=DEADLINE_SECONDS)
            except queue.Empty:
                self.fail(f"no webhook {kind} about {intent_id} came in time")
            event = stripe.Webhook.construct_event(body, signature, WEBHOOK_SECRET)
            thing = event.data.object
            about = thing.id if thing.object == "payment_intent" else thing.payment_intent
            if (event.type, about) == (kind, intent_id):
                return event, body, signature


class Payments(Scenario):
    def test_a_payment_is_made_confirmed_captured_and_refunded_step_by_step(self):
        made = self.intents.create(
            {
                "amount": 4200,
                "currency": "gbp",
                "capture_method": "manual",
                "metadata": {"order_id": "order 1", "ümlaut": "ja & nein"},
                "description": "two teapots",
            }
        )
        self.assertEqual((made.object, made.status), ("payment_intent", "requires_payment_method"))
        self.assertEqual(made.metadata.to_dict(), {"order_id": "order 1", "ümlaut": "ja & nein"})
        self.assertEqual((made.description, made.livemode), ("two teapots", False))
        confirmed = self.intents.confirm(made.id, {"payment_method": "pm_card_visa"})
        self.assertEqual((confirmed.status, confirmed.amount_capturable), ("requires_capture", 4200))
        captured = self.intents.capture(made.id, {"amount_to_capture": 4000})
        self.assertEqual((captured.status, captured.amount_received), ("succeeded", 4000))
        self.assertEqual(self.intents.retrieve(made.id), captured)
        refund = self.refunds.create(
            {"payment_intent": made.id, "amount": 1500, "reason": "requested_by_customer", "metadata": {"a": "b"}}
        )
        self.assertEqual((refund.object, refund.status, refund.amount), ("refund", "succeeded", 1500))
        self.assertEqual((refund.payment_intent, refund.metadata["a"]), (made.id, "b"))
        self.assertEqual(self.refunds.retrieve(refund.id), refund)
        rest = self.refunds.create({"payment_intent": made.id})
        self.assertEqual(rest.amount, 2500)
        with self.assertRaises(stripe.InvalidRequestError) as refused:
            self.refunds.create({"payment_intent": made.id, "amount": 1})
        self.assertEqual(refused.exception.code, "charge_already_refunded")
        listed = self.refunds.list({"payment_intent": made.id, "limit": 1})
        self.assertEqual(list(listed.auto_paging_iter()), [rest, refund])

    def test_without_a_capture_method_the_money_is_taken_at_once(self):
        paid = self.intents.create(
            {"amount": 7, "currency": "jpy", "payment_method": "pm_card_mastercard", "confirm": True}
        )
        self.assertEqual((paid.status, paid.amount_received, paid.currency), ("succeeded", 7, "jpy"))

    def test_a_cancelled_payment_is_over(self):
        held = self.authorize()
        cancelled = self.intents.cancel(held.id, {"cancellation_reason": "requested_by_customer"})
        self.assertEqual((cancelled.status, cancelled.amount_capturable), ("canceled", 0))
        self.assertEqual(cancelled.cancellation_reason, "requested_by_customer")
        for ask in (self.intents.cancel, self.intents.capture, self.intents.confirm):
            with self.assertRaises(stripe.InvalidRequestError) as refused:
                ask(held.id)
            self.assertEqual(refused.exception.code, "payment_intent_unexpected_state")
            self.assertEqual(refused.exception.http_status, 400)
            self.assertEqual(refused.exception.error.payment_intent.status, "canceled")

    def test_a_decline_is_a_card_error_with_its_reason_and_the_intent(self):
        for token, reason in (
            ("pm_card_chargeDeclined", "generic_decline"),
            ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ):
            with self.subTest(token), self.assertRaises(stripe.CardError) as declined:
                self.authorize(token)
            error = declined.exception.error
            self.assertEqual((declined.exception.http_status, error.type), (402, "card_error"))
            self.assertEqual((error.code, error.decline_code), ("card_declined", reason))
            intent = self.intents.retrieve(error.payment_intent.id)
            self.assertEqual(intent.status, "requires_payment_method")
            self.assertEqual(intent.last_payment_error.decline_code, reason)
            again = self.intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
            self.assertEqual((again.status, again.last_payment_error), ("requires_capture", None))

    def test_a_capture_can_be_declined(self):
        held = self.authorize("pm_sandbox_capture_fails")
        with self.assertRaises(stripe.CardError):
            self.intents.capture(held.id)
        self.assertEqual(self.intents.retrieve(held.id).status, "requires_payment_method")

    def test_no_more_is_captured_or_refunded_than_there_is(self):
        held = self.authorize(amount=100)
        with self.assertRaises(stripe.InvalidRequestError) as refused:
            self.intents.capture(held.id, {"amount_to_capture": 101})
        self.assertEqual((refused.exception.code, refused.exception.param), ("amount_too_large", "amount_to_capture"))
        self.intents.capture(held.id)
        with self.assertRaises(stripe.InvalidRequestError) as refused:
            self.refunds.create({"payment_intent": held.id, "amount": 101})
        self.assertEqual(refused.exception.param, "amount")

    def test_the_list_is_paged_newest_first(self):
        made = [self.authorize(amount=n).id for n in range(1, 6)]
        page = self.intents.list({"limit": 2})
        self.assertEqual(([intent.id for intent in page.data], page.has_more), (made[:2:-1], True))
        everything = [intent.id for intent in page.auto_paging_iter()]
        self.assertEqual(everything[:5], made[::-1])
        self.assertEqual(len(everything), len(set(everything)))


class Requests(Scenario):
    def test_a_request_under_the_same_key_is_done_once(self):
        key = str(uuid.uuid4())
        first = self.authorize(key=key)
        again = self.authorize(key=key)
        self.assertEqual(again, first)
        self.assertNotIn("Idempotent-Replayed", first.last_response.headers)
        self.assertEqual(again.last_response.headers["Idempotent-Replayed"], "true")
        with self.assertRaises(stripe.IdempotencyError) as refused:
            self.authorize(key=key, amount=4201)
        self.assertEqual(refused.exception.http_status, 400)
        declined = str(uuid.uuid4())
        for _ in range(2):
            with self.assertRaises(stripe.CardError) as error:
                self.authorize("pm_sandbox_decline", key=declined)
        self.assertEqual(error.exception.headers["Idempotent-Replayed"], "true")

    def test_the_sdk_repeats_by_itself_what_was_not_answered(self):
        late = {"max_network_retries": 2, "http_client": stripe.RequestsClient(timeout=1)}
        self.client = self.connect(SECRET_KEY, **late)
        before = self.intents.list({"limit": 1}).data
        held = self.authorize("pm_sandbox_answers_after_timeout")
        self.assertEqual(held.status, "requires_capture")
        self.assertEqual(held.last_response.headers["Idempotent-Replayed"], "true")
        newest = self.intents.list({"limit": 2}).data
        self.assertEqual(newest[:1], [held])
        self.assertEqual(newest[1:], before[:1])

    def test_a_payment_that_never_answers_leaves_nothing(self):
        self.client = self.connect(SECRET_KEY, http_client=stripe.RequestsClient(timeout=0.3))
        before = self.intents.list({"limit": 1}).data
        key = str(uuid.uuid4())
        for _ in range(2):
            with self.assertRaises(stripe.APIConnectionError):
                self.authorize("pm_sandbox_never_answers", key=key)
        self.assertEqual(self.intents.list({"limit": 1}).data, before)

    def test_what_is_wrong_with_a_request_is_said(self):
        with self.assertRaises(stripe.AuthenticationError):
            self.connect("sk_test_other").v1.payment_intents.list()
        with self.assertRaises(stripe.InvalidRequestError) as missing:
            self.intents.retrieve("pi_nothing")
        self.assertEqual((missing.exception.http_status, missing.exception.code), (404, "resource_missing"))
        for param, value in (("amount", -1), ("currency", "pounds"), ("payment_method", "pm_x"), ("colour", "red")):
            with self.subTest(param), self.assertRaises(stripe.InvalidRequestError) as wrong:
                self.authorize(**{"token" if param == "payment_method" else param: value})
            self.assertEqual((wrong.exception.http_status, wrong.exception.param), (400, param))


class Webhooks(Scenario):
    def test_every_step_is_told_and_signed(self):
        held = self.authorize(metadata={"order_id": "1"})
        self.told("payment_intent.amount_capturable_updated", held.id)
        captured = self.intents.capture(held.id)
        event, body, signature = self.told("payment_intent.succeeded", held.id)
        self.assertEqual((event.data.object, event.livemode), (captured, False))
        self.assertEqual(event.data.object.metadata["order_id"], "1")
        self.refunds.create({"payment_intent": held.id, "amount": 200})
        event, _, _ = self.told("charge.refunded", held.id)
        self.assertEqual((event.data.object.object, event.data.object.amount_refunded), ("charge", 200))
        for wrong_body, wrong_secret in ((body + b" ", WEBHOOK_SECRET), (body, "whsec_other")):
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(wrong_body, signature, wrong_secret)

    def test_a_payment_is_found_by_its_metadata(self):
        wanted = str(uuid.uuid4())
        parameters = {"amount": 500, "currency": "gbp", "metadata": {"payment_id": wanted}}
        made = self.intents.create(parameters)
        found = self.intents.search({"query": f"metadata['payment_id']:'{wanted}'"})
        self.assertEqual([intent.id for intent in found.data], [made.id])
        self.assertEqual((found.object, found.has_more), ("search_result", False))

    def test_a_shopper_is_sent_to_a_page_and_approves(self):
        asked = self.authorize("pm_card_authenticationRequired", return_url="https://shop.example/paid")
        self.assertEqual((asked.status, asked.next_action.type), ("requires_action", "redirect_to_url"))
        self.told("payment_intent.requires_action", asked.id)
        page = asked.next_action.redirect_to_url.url
        # Nobody answers at the shop's address: where the browser would go is enough.
        address = urllib.parse.urlsplit(page)
        connection = http.client.HTTPConnection(address.netloc, timeout=DEADLINE_SECONDS)
        form = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", address.path, "decision=approve", form)
        answer = connection.getresponse()
        back = f"https://shop.example/paid?payment_intent={asked.id}&redirect_status=succeeded"
        self.assertEqual((answer.status, answer.headers["location"]), (303, back))
        connection.close()
        self.told("payment_intent.amount_capturable_updated", asked.id)
        self.assertEqual(self.intents.retrieve(asked.id).status, "requires_capture")

    def test_a_slow_payment_is_told_even_when_the_sandbox_is_killed_meanwhile(self):
        slow = self.authorize("pm_sandbox_slow")
        declined = self.authorize("pm_sandbox_slow_decline")
        self.assertEqual((slow.status, declined.status), ("processing", "processing"))
        self.server.kill()
        self.server.start()
        seen = {}
        while len(seen) < 2:
            body, signature = self.receiver.received.get(timeout=DEADLINE_SECONDS)
            event = stripe.Webhook.construct_event(body, signature, WEBHOOK_SECRET)
            if event.type in ("payment_intent.amount_capturable_updated", "payment_intent.payment_failed"):
                if event.data.object.id in (slow.id, declined.id):
                    seen[event.data.object.id] = event.type
        self.assertEqual(seen[slow.id], "payment_intent.amount_capturable_updated")
        self.assertEqual(seen[declined.id], "payment_intent.payment_failed")
        self.assertEqual(self.intents.retrieve(slow.id).status, "requires_capture")
        self.assertEqual(self.intents.retrieve(declined.id).status, "requires_payment_method")


if __name__ == "__main__":
    unittest.main(verbosity=2)
