//! A conversation while it is being written: who says what when, and which prompts that took.
//!
//! `scenarios` speak through it, `demo.rs` turns the result into records. It promises that time only moves forward, that a
//! history only grows, and that every answer of the agent leaves exactly one `engage_user` log.

use chrono::{DateTime, TimeDelta, Utc};

use crate::chance::Chance;
use crate::people::Person;
use crate::prompts;
use crate::slots::Slots;
use crate::world::{Agent, Release, SMALL_MODEL, Service, local};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speaker {
    User,
    Agent,
    /// The agent asking for a tool; the customer never sees it.
    Call,
    Result,
}

pub(crate) struct Turn {
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) interaction: usize,
    /// The name of the tool, in a call.
    pub(crate) tool: Option<&'static str>,
}

impl Turn {
    /// The turn as one history prompt: the role, a line break, the text.
    pub(crate) fn prompt(&self) -> String {
        let role = match self.speaker {
            Speaker::User => "user",
            Speaker::Agent | Speaker::Call => "assistant",
            Speaker::Result => "tool",
        };
        format!("{role}\n{}", self.text)
    }

    pub(crate) fn is_spoken(&self) -> bool {
        matches!(self.speaker, Speaker::User | Speaker::Agent)
    }
}

pub(crate) struct Log {
    pub(crate) interaction: usize,
    pub(crate) prompt_type: &'static str,
    pub(crate) at: DateTime<Utc>,
    pub(crate) latency: TimeDelta,
    pub(crate) model: &'static str,
    pub(crate) system: Option<String>,
    pub(crate) history: Option<Vec<String>>,
    pub(crate) completion_chars: usize,
}

pub(crate) struct Chat {
    pub(crate) chance: Chance,
    pub(crate) slots: Slots,
    pub(crate) person: &'static Person,
    pub(crate) service: Service,
    pub(crate) release: Release,
    pub(crate) agent: &'static Agent,
    pub(crate) at: DateTime<Utc>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) logs: Vec<Log>,
    interaction: usize,
}

impl Chat {
    pub(crate) fn new(
        chance: Chance,
        person: &'static Person,
        service: Service,
        release: Release,
        at: DateTime<Utc>,
    ) -> Self {
        let agent = service.agent(at);
        let mut chat = Self {
            chance,
            slots: Slots::default(),
            person,
            service,
            release,
            agent,
            at,
            turns: Vec::new(),
            logs: Vec::new(),
            interaction: 0,
        };
        chat.set_the_scene();
        chat
    }

    /// Names the step of the service the conversation has reached, as the prompts show it.
    pub(crate) fn step(&mut self, step: &'static str) {
        self.slots.set("step", step);
    }

    /// The customer writes one of these, which begins the next interaction.
    pub(crate) fn user(&mut self, alternatives: &[&'static str]) {
        if self.turns.is_empty() && self.chance.percent(65) {
            self.agent(self.greetings());
        }
        if !self.turns.is_empty() {
            self.interaction += 1;
        }
        let template = *self.chance.one_of(alternatives);
        // Reading and typing: measured on the template and not on the filled text, so that a conversation takes as long
        // whenever it starts.
        let letters = i64::try_from(template.chars().count())
            .expect("a text has fewer letters than an i64 counts");
        let pause = 2_000 + letters * self.chance.between(70, 130) + self.chance.between(0, 14_000);
        self.at += TimeDelta::milliseconds(pause);
        self.speak(Speaker::User, template);
    }

    /// The agent answers one of these.
    pub(crate) fn agent(&mut self, alternatives: &[&'static str]) {
        let template = *self.chance.one_of(alternatives);
        // Of the turns that take no tool, some are small talk, which a rule recognises; for the others a prompt says "none".
        if !self.turns.is_empty() && !self.has_called() && self.chance.percent(60) {
            self.choose_tool(10);
        }
        let system = prompts::engage(self.service, &self.slots_now());
        let history = (!self.turns.is_empty()).then(|| self.history());
        let completion_chars = self.slots.fill(template).chars().count();
        self.record(
            "engage_user",
            1_400,
            4_800,
            Some(system),
            history,
            completion_chars,
        );
        self.speak(Speaker::Agent, template);
    }

    /// The agent uses a tool. The first call of an interaction was chosen by a prompt of its own.
    pub(crate) fn call(
        &mut self,
        tool: &'static str,
        arguments: &'static str,
        result: &'static str,
    ) {
        if !self.has_called() {
            self.choose_tool(60 + arguments.len());
        }
        let id = self.chance.between(0x10_0000, 0xff_ffff);
        self.slots.set("call", format!("call_{id:06x}"));
        self.slots.set("tool", tool);
        self.slots.set("arguments", self.slots.fill(arguments));
        self.slots.set("result", self.slots.fill(result));
        self.speak(
            Speaker::Call,
            r#"{"tool_call": {"id": "{call}", "name": "{tool}", "arguments": {arguments}}}"#,
        );
        self.turns
            .last_mut()
            .expect("the call was just spoken")
            .tool = Some(tool);
        self.at += TimeDelta::milliseconds(self.chance.between(120, 1_900));
        self.speak(
            Speaker::Result,
            r#"{"tool_call_id": "{call}", "result": {result}}"#,
        );
    }

    /// A draft is held up for the safety review before the agent answers. Once in an interaction at most.
    pub(crate) fn review(&mut self, draft: &'static str) {
        let system = prompts::guardrail(&self.slots_now());
        let asked = self
            .turns
            .iter()
            .rev()
            .find(|t| t.speaker == Speaker::User)
            .map(Turn::prompt);
        let drafted = format!("draft\n{}", self.slots.fill(draft));
        let history = asked.into_iter().chain([drafted]).collect();
        self.record("guardrail", 400, 1_100, Some(system), Some(history), 120);
    }

    /// The summary prompt after the end. Since release 12 its instruction is the last history prompt and no system prompt.
    pub(crate) fn summarize(&mut self, summary: &str) {
        self.at += TimeDelta::milliseconds(self.chance.between(15_000, 40_000));
        let slots = self.slots_now();
        let mut history = self.history();
        let system = match self.release {
            Release::Eleven => Some(prompts::summarize(&slots)),
            Release::Twelve => {
                history.push(format!("user\n{}", prompts::summarize_request(&slots)));
                None
            }
        };
        self.record(
            "summarize",
            900,
            2_500,
            system,
            Some(history),
            summary.chars().count(),
        );
    }

    /// Sets `name` to the local time of day that many minutes ago (or ahead, when negative), and `name_utc` to the instant.
    pub(crate) fn time(&mut self, name: &'static str, name_utc: &'static str, minutes_ago: i64) {
        let at = self.at - TimeDelta::minutes(minutes_ago);
        self.slots.set(name, local(at).format("%H:%M").to_string());
        self.slots
            .set(name_utc, at.format("%Y-%m-%dT%H:%MZ").to_string());
    }

    pub(crate) fn choose(&mut self, name: &'static str, choices: &[&'static str]) {
        self.slots.set(name, *self.chance.one_of(choices));
    }

    pub(crate) fn number(&mut self, name: &'static str, low: i64, high: i64) -> i64 {
        let number = self.chance.between(low, high);
        self.slots.set(name, number.to_string());
        number
    }

    /// The number in a slot that `number` has set.
    pub(crate) fn number_in(&self, name: &'static str) -> i64 {
        self.slots
            .get(name)
            .and_then(|text| text.parse().ok())
            .expect("the slot was set by `number`")
    }

    pub(crate) fn euros(&mut self, name: &'static str, cents: i64) {
        self.slots
            .set(name, format!("{}.{:02}", cents / 100, cents % 100));
    }

    fn speak(&mut self, speaker: Speaker, template: &'static str) {
        let text = self.slots.fill(template);
        self.turns.push(Turn {
            speaker,
            text,
            at: self.at,
            interaction: self.interaction,
            tool: None,
        });
    }

    fn has_called(&self) -> bool {
        self.turns
            .iter()
            .any(|turn| turn.interaction == self.interaction && turn.speaker == Speaker::Call)
    }

    fn choose_tool(&mut self, completion_chars: usize) {
        let system = prompts::select_tool(&self.slots_now());
        let history = Some(self.history());
        self.record(
            "select_tool",
            350,
            900,
            Some(system),
            history,
            completion_chars,
        );
    }

    fn history(&self) -> Vec<String> {
        self.turns.iter().map(Turn::prompt).collect()
    }

    fn slots_now(&self) -> Slots {
        let mut slots = self.slots.clone();
        slots.set(
            "local_time",
            local(self.at).format("%A, %-d %B %Y, %H:%M").to_string(),
        );
        slots
    }

    fn record(
        &mut self,
        prompt_type: &'static str,
        fastest: i64,
        slowest: i64,
        system: Option<String>,
        history: Option<Vec<String>>,
        completion_chars: usize,
    ) {
        let latency = TimeDelta::milliseconds(self.chance.between(fastest, slowest));
        self.at += latency;
        let model = if prompt_type == "engage_user" {
            self.service.model()
        } else {
            SMALL_MODEL
        };
        let interaction = self.interaction;
        self.logs.push(Log {
            interaction,
            prompt_type,
            at: self.at,
            latency,
            model,
            system,
            history,
            completion_chars,
        });
    }
}
