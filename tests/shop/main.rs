//! Journeys over everything: each test has a shop of its own, with the services built by the same function as in
//! production, on an embedded event store with fsync and a database of its own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod analytics;
mod audit_trail;
mod bad_input;
mod buying;
mod copying;
mod currencies;
mod databases;
mod deleted_streams;
mod every_step;
mod executor;
mod failover;
mod foreign_events;
mod freshness;
mod gateway_books;
mod harness;
mod http;
mod idempotency;
mod idempotency_keys;
mod limits;
mod live;
mod moving_house;
mod outage;
mod outcome;
mod parked;
mod payments;
mod projections;
mod purchase;
mod read_models;
mod reconciliation;
mod restart;
mod retrying;
mod rights;
mod sealing;
mod services;
mod shares;
mod shipments;
mod shopper_action;
mod snapshots;
mod stock_holding;
mod tampering;
mod time_travel;
mod times_and_places;
mod two_machines;
mod worth;
mod written;
