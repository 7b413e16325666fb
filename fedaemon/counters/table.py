"""The names of all numbers, with their kinds, labels and meanings: what dashboards and alarms are built on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

DURATION_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds in seconds: from a local mailbox to a remote server that uses up its time-outs."""
LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""A turn of the reactor is to be shorter than 0.02 s."""
COMMIT_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""From a fast SSD to a disk that is in trouble."""
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Metric:
    """What one name stands for. *buckets* are upper bounds, for a histogram only."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    about: str
    buckets: tuple[float, ...] = ()


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric(
            "messages_accepted_total",
            "counter",
            ("service",),
            "Messages taken into the queue, by the service that took them (submission, mx).",
        ),
        Metric("queue_claims_total", "counter", (), "Recipients claimed for a remote attempt."),
        Metric("attempts_active", "gauge", (), "Remote attempts under way."),
        Metric("sites", "gauge", (), "Sites of which something is remembered."),
        Metric(
            "delivery_outcomes_total",
            "counter",
            ("result", "category"),
            "What became of a recipient in an attempt: delivered, deferred, bounced or expired, and why.",
        ),
        Metric(
            "delivery_duration_seconds",
            "histogram",
            (),
            "How long the attempt took for a recipient that was delivered.",
            DURATION_BUCKETS,
        ),
        Metric(
            "connections_opened_total",
            "counter",
            ("tls",),
            "Connections opened to other servers, by TLS version (none without).",
        ),
        Metric("connections_reused_total", "counter", (), "Messages that took a connection already open."),
        Metric("connections_idle", "gauge", (), "Open connections that wait for a further message."),
        Metric("reports_total", "counter", ("kind",), "Delivery reports queued, by kind."),
        Metric("suppressed_total", "counter", (), "Addresses put on the suppression list."),
        Metric(
            "complaints_total",
            "counter",
            ("result",),
            "Complaints read: matched, unmatched, ignored, unreadable.",
        ),
        Metric("webhook_backlog", "gauge", (), "Events that wait to be posted to webhooks."),
        Metric(
            "webhook_posts_total",
            "counter",
            ("result",),
            "Posts to webhooks: done, failed (tried again), expired (given up), gone (webhook disabled).",
        ),
        Metric("webhook_dropped_total", "counter", (), "Events dropped because a backlog was full."),
        Metric("sessions", "gauge", ("service",), "Open connections, by service."),
        Metric(
            "sessions_logged_in", "gauge", ("service",), "Open connections that have logged in, by service."
        ),
        Metric("sessions_total", "counter", ("service",), "Connections taken, by service."),
        Metric("logins_total", "counter", ("service",), "Logins, by service."),
        Metric("login_failures_total", "counter", ("service",), "Logins refused, by service."),
        Metric(
            "queue_recipients",
            "gauge",
            ("state",),
            "Recipients that wait: queued (not tried yet), deferred. Counted in the background.",
        ),
        Metric("queue_oldest_seconds", "gauge", ("state",), "Since when the oldest of them waits."),
        Metric("queue_sample_age_seconds", "gauge", (), "How long ago they were counted."),
        Metric("delivery_paused", "gauge", (), "1 while remote delivery is paused as a whole."),
        Metric(
            "reactor_lag_seconds",
            "histogram",
            (),
            "How late the reactor came to a call that was due: what everybody waits.",
            LAG_BUCKETS,
        ),
        Metric("reactor_lag_max_seconds", "gauge", (), "The largest of the last five minutes."),
        Metric("store_commit_seconds", "histogram", (), "How long a commit to disk took.", COMMIT_BUCKETS),
        Metric("store_batch_size", "histogram", (), "How many writes shared a commit.", BATCH_BUCKETS),
        Metric("store_commits_failed_total", "counter", (), "Commits that did not happen."),
        Metric(
            "store_bytes", "gauge", (), "Disk space of the database, without the files of large messages."
        ),
        Metric("disk_free_bytes", "gauge", (), "Free disk space where the data are."),
        Metric("disk_reserve_bytes", "gauge", (), "Free disk space below which no new mail is taken."),
        Metric(
            "certificate_expires_seconds", "gauge", ("certificate",), "When a certificate ends, as Unix time."
        ),
        Metric("http_answers_total", "counter", ("status",), "Answers to HTTP requests, by status."),
        Metric("healthy", "gauge", (), "1 when /healthz says ok."),
        Metric("process_cpu_seconds_total", "counter", (), "Processor time of the process."),
        Metric("process_resident_memory_bytes", "gauge", (), "Resident memory of the process."),
        Metric("process_open_fds", "gauge", (), "Open file descriptors."),
        Metric("process_max_fds", "gauge", (), "The most file descriptors it may open."),
        Metric("process_start_time_seconds", "gauge", (), "When the process started, as Unix time."),
        Metric(
            "build_info", "gauge", ("version", "python", "twisted"), "Always 1; the labels say what runs."
        ),
    )
}
"""All names, in the order in which they are shown."""
