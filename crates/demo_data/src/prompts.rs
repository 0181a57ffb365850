//! The system prompts, rendered. Their words stand in `prompts/*.md`.

use crate::slots::Slots;
use crate::world::{Release, Service, TOOLS};

pub(crate) fn engage(service: Service, slots: &Slots) -> String {
    slots.fill(match service {
        Service::Support => include_str!("prompts/support.md"),
        Service::Booking => include_str!("prompts/booking.md"),
        Service::Repairs => include_str!("prompts/repairs.md"),
    })
}

pub(crate) fn select_tool(slots: &Slots) -> String {
    slots.fill(include_str!("prompts/select_tool.md"))
}

pub(crate) fn guardrail(slots: &Slots) -> String {
    slots.fill(include_str!("prompts/guardrail.md"))
}

pub(crate) fn summarize(slots: &Slots) -> String {
    slots.fill(include_str!("prompts/summarize.md"))
}

pub(crate) fn summarize_request(slots: &Slots) -> String {
    slots.fill(include_str!("prompts/summarize_request.md").trim_end())
}

/// Sets what depends on the service and on the release only. The releases differ exactly here.
pub(crate) fn set_instructions(slots: &mut Slots, service: Service, release: Release) {
    let rules = match (service, release) {
        (Service::Support, Release::Eleven) => include_str!("prompts/support_rules_11.md"),
        (Service::Support, Release::Twelve) => include_str!("prompts/support_rules_12.md"),
        (Service::Booking, Release::Eleven) => include_str!("prompts/booking_rules_11.md"),
        (Service::Booking, Release::Twelve) => include_str!("prompts/booking_rules_12.md"),
        (Service::Repairs, _) => "",
    };
    slots.set("rules", slots.fill(rules.trim_end()));
    let (language_rule, tool_rule) = match release {
        Release::Eleven => (
            "Answer in the language the customer writes.",
            "- If several trips match the description, take the first one returned.",
        ),
        Release::Twelve => (
            "Answer in the profile language.",
            "- If several trips match the description, answer none, so that the agent can ask.",
        ),
    };
    slots.set("language_rule", language_rule);
    slots.set("tool_rule", tool_rule);
    let tools: Vec<String> = TOOLS
        .iter()
        .filter(|tool| tool.services.contains(&service))
        .map(|tool| format!("- {}({}): {}", tool.name, tool.arguments, tool.description))
        .collect();
    slots.set("tools", tools.join("\n"));
}
