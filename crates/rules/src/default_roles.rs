//! The four roles every organization begins with (the wire contract, section 5).
//!
//! Written to the directory when an organization is created. Promises: each role is greater than the one before it.
//! Not here: roles an organization makes for itself.

use crate::{Condition, Grant, Role, RoleName, grants};

/// Sees and changes what is its own.
pub const DEFAULT_USER_ROLE: &str = "DefaultUserRole";

/// Runs an organization: all its users, conversations and building blocks, and its prompt logs.
pub const DEFAULT_ADMINISTRATOR_ROLE: &str = "DefaultAdministratorRole";

/// Everything within its own organization; the least default role that may run SQL.
pub const DEFAULT_AMIGO_ADMINISTRATOR_ROLE: &str = "DefaultAmigoAdministratorRole";

/// Everything, in every organization.
pub const DEFAULT_SUPER_ADMINISTRATOR_ROLE: &str = "DefaultSuperAdministratorRole";

/// What [`DEFAULT_USER_ROLE`] grants on things of the caller's own.
const USER_PERMISSIONS: [&str; 12] = [
    "Conversation:CreateConversation",
    "Conversation:DeleteConversation",
    "Conversation:FinishConversation",
    "Conversation:GetConversation",
    "Conversation:GetInteractionInsights",
    "Conversation:GetMessage",
    "Conversation:InteractWithConversation",
    "Conversation:ModifyConversation",
    "User:GetUserInfo",
    "User:GetUserModel",
    "User:UpdateUserInfo",
    "UserDimensions:GetUserDimensions",
];

/// What [`DEFAULT_ADMINISTRATOR_ROLE`] grants within the caller's organization. `Admin` is not granted whole: of that
/// family an organization's administrator gets the prompt logs alone.
const ADMINISTRATOR_PERMISSIONS: [&str; 16] = [
    "Admin:GetPromptLogs",
    "Admin:WritePromptLogs",
    "Agent:*",
    "ContextGraph:*",
    "Conversation:*",
    "DynamicBehavior:*",
    "Metric:*",
    "Organization:*",
    "Persona:*",
    "Role:*",
    "Service:*",
    "Simulation:*",
    "Tool:*",
    "User:*",
    "UserDimensions:*",
    "Webhook:*",
];

/// A role as the directory stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultRole {
    /// The role itself.
    pub role: Role,
    /// What it is for, in a sentence.
    pub description: &'static str,
    /// Which of the platform's two user interfaces its users see: `client` or `admin`.
    pub frontend_view: &'static str,
}

/// The default roles, each greater than the one before.
pub fn default_roles() -> [DefaultRole; 4] {
    let of_own_org =
        |name: &str| Grant::allow(name).when("org_id", Condition::equals(grants::SELF_ORG_ID));
    let of_self =
        |name: &str| of_own_org(name).when("user_id", Condition::equals(grants::SELF_USER_ID));
    [
        DefaultRole {
            role: role(DEFAULT_USER_ROLE, USER_PERMISSIONS.map(of_self)),
            description: "Uses the organization's services and sees what is their own.",
            frontend_view: "client",
        },
        DefaultRole {
            role: role(
                DEFAULT_ADMINISTRATOR_ROLE,
                ADMINISTRATOR_PERMISSIONS.map(of_own_org),
            ),
            description: "Runs the organization: its users, conversations, building blocks and prompt logs.",
            frontend_view: "admin",
        },
        DefaultRole {
            role: role(DEFAULT_AMIGO_ADMINISTRATOR_ROLE, [of_own_org("*")]),
            description: "Everything within the organization, SQL included.",
            frontend_view: "admin",
        },
        DefaultRole {
            role: role(DEFAULT_SUPER_ADMINISTRATOR_ROLE, [Grant::allow("*")]),
            description: "Everything, in every organization.",
            frontend_view: "admin",
        },
    ]
}

fn role(name: &str, grants: impl Into<Vec<Grant>>) -> Role {
    Role {
        name: RoleName::parse(name).expect("the default role names are role names"),
        grants: grants.into(),
    }
}

#[cfg(test)]
mod tests;
