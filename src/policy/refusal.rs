//! Every reason for which the guard refuses a request, as data: a code, a status, and sentences that say what is wrong
//! and what to do.

use std::fmt;
use std::time::Duration;

use super::rules::RuleName;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// The reason of a refusal. Names are part of the interface: clients, dashboards and rules match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of this list.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as answers, records and metrics name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// Where it is written what the code means and what to do: a file of the project, and the heading in it.
            pub const fn documentation(self) -> &'static str {
                match self { $(Code::$variant => concat!("docs/refusals.md#", $name),)* }
            }

            /// The status of an answer with this code (RFC 9110 section 15).
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// The request can be read in more than one way.
    AmbiguousRequest = "ambiguous_request", 400;
    /// The body of a guarded request is not one JSON object.
    UnsupportedBody = "unsupported_body", 400;
    /// The body of a guarded request is longer than `resources.max_inspected_body`.
    BodyTooLarge = "body_too_large", 413;
    /// The body of a request did not arrive within `resources.body_idle_timeout`.
    BodyTimeout = "body_timeout", 408;
    /// `policy.operations` denies the operation.
    OperationDenied = "operation_denied", 403;
    /// A publish to QStash itself, which would act past the guard.
    DestinationIsQstash = "destination_is_qstash", 403;
    /// A parameter that QStash would ignore.
    UnknownParameter = "unknown_parameter", 403;
    /// A rule of the policy says so, or failed.
    DeniedByRule = "denied_by_rule", 403;
    /// Nothing narrows the cancel.
    UnfilteredCancel = "unfiltered_cancel", 403;
    /// A filter outside `allowed_filters`.
    FilterNotAllowed = "filter_not_allowed", 403;
    /// A cancel by filter without `count`.
    UncappedCancel = "uncapped_cancel", 403;
    /// `count` is over `max_count`.
    CountOverCap = "count_over_cap", 403;
    /// More ids than `max_message_ids`.
    TooManyMessageIds = "too_many_message_ids", 403;
    /// It rests on a cap that QStash was seen not to honour.
    CapNotHonoured = "cap_not_honoured", 403;
    /// The guard enforces the cap, and cannot tell what a filter selects.
    FilterNotResolvable = "filter_not_resolvable", 403;
    /// The request could never pass a limit counted in messages.
    CountOverBudget = "count_over_budget", 403;
    /// A limit is used up for now.
    RateLimited = "rate_limited", 429;
    /// No guard key, or none that is known.
    Unauthenticated = "unauthenticated", 401;
    /// The policy wants tokens in the Authorization header.
    QueryTokenForbidden = "query_token_forbidden", 403;
    /// More than one credential.
    ConflictingCredentials = "conflicting_credentials", 400;
    /// A query token that cannot be a token.
    MalformedCredential = "malformed_credential", 400;
    /// HTTP that no server should act on.
    MalformedRequest = "malformed_request", 400;
    /// A path outside `listen.path_prefix`.
    NotServed = "not_served", 404;
    /// `CONNECT` or `TRACE`.
    MethodNotServed = "method_not_served", 405;
    /// The trail cannot be written.
    AuditUnavailable = "audit_unavailable", 503;
    /// The store that limits are counted in does not answer.
    StoreUnavailable = "store_unavailable", 503;
    /// Nothing was sent: the upstream could not be reached.
    UpstreamUnreachable = "upstream_unreachable", 502;
    /// The upstream broke after something was sent.
    UpstreamFailed = "upstream_failed", 502;
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504;
    /// The guard enforces the cap, and its listing or one of its cancels failed.
    CapUnresolvable = "cap_unresolvable", 502;
    /// A defect of the guard.
    InternalError = "internal_error", 500;
}

impl Code {
    /// Whether it is a word of the guard about the request, to be recorded as `denied`; the rest says that the
    /// upstream failed, which is no denial.
    pub const fn is_denial(self) -> bool {
        !matches!(
            self,
            Code::UpstreamUnreachable | Code::UpstreamFailed | Code::UpstreamTimeout | Code::CapUnresolvable
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub code: Code,
    /// What is wrong and what to do, in one or two sentences; never holds a value that could be a secret.
    pub message: String,
}

impl Violation {
    /// A violation with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Violation {
            code,
            message: message.into(),
        }
    }
}

/// Why a request is refused: at least one violation, and for limits what to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    first: Violation,
    others: Vec<Violation>,
    rule: Option<RuleName>,
    limit: Option<Limited>,
}

/// The limit that refused, and when it would let through again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The limit's name in the configuration.
    pub name: String,
    /// How long until the same request would pass; `None` where it never would.
    pub retry_after: Option<Duration>,
    /// The limit's burst, in its unit.
    pub burst: u32,
    /// What is left of it now.
    pub remaining: u32,
}

impl Refusal {
    /// A refusal for one reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal {
            first: Violation::new(code, message),
            others: Vec::new(),
            rule: None,
            limit: None,
        }
    }

    /// A refusal by a limit.
    pub fn limited(code: Code, message: impl Into<String>, limit: Limited) -> Self {
        Refusal {
            limit: Some(limit),
            ..Refusal::new(code, message)
        }
    }

    /// All violations in the order of the table; `None` where there is none.
    pub fn of(violations: Vec<Violation>) -> Option<Self> {
        let mut violations = violations.into_iter();
        violations.next().map(|first| Refusal {
            first,
            others: violations.collect(),
            rule: None,
            limit: None,
        })
    }

    /// The refusal, said to come from a rule.
    #[must_use]
    pub fn by_rule(self, rule: Option<RuleName>) -> Self {
        Refusal { rule, ..self }
    }

    /// The rule that refused, or under whose limits the table did.
    pub fn rule(&self) -> Option<&RuleName> {
        self.rule.as_ref()
    }

    /// The code of the answer: the first violation's.
    pub fn code(&self) -> Code {
        self.first.code
    }

    /// The sentence of the answer: the first violation's.
    pub fn message(&self) -> &str {
        &self.first.message
    }

    /// All violations, the first one first.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The limit that refused, if one did.
    pub fn limit(&self) -> Option<&Limited> {
        self.limit.as_ref()
    }
}
