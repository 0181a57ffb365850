//! Every permission that this server asks for, in one list.
//!
//! The reference of `docs/roles-matrix.md`, which is made from it; a test reads the application's sources and finds each
//! permission here. Not here: the permissions of the platform's other services, which roles may grant as well.

/// What applies to a prompt log that was written without permissions of its own.
pub const GET_MESSAGE: &str = "Conversation:GetMessage";

/// Each permission with what it lets its holder do, by name.
pub const PERMISSIONS: [(&str, &str); 17] = [
    ("Admin:GetAuditLog", "query the table `audit_log`"),
    (
        "Admin:GetPromptLogs",
        "download prompt logs; each log has requirements of its own",
    ),
    (
        "Admin:GetSqlQueries",
        "see the queries of others in `query_history`",
    ),
    (
        "Admin:WritePromptLogs",
        "write prompt logs, also by OpenTelemetry",
    ),
    (
        GET_MESSAGE,
        "read a prompt log that was written without requirements",
    ),
    ("Organization:CreateAPIKey", "make an API key"),
    ("Organization:DeleteAPIKey", "delete an API key"),
    ("Organization:GetAPIKey", "see an API key in the list"),
    (
        "Organization:GetOrganizationDetails",
        "see the organization's preferences and tenant",
    ),
    ("Role:CreateRole", "make a role"),
    (
        "Role:CreateTemporaryPermissionGrant",
        "give a user a permission for some time",
    ),
    ("Role:GetRole", "see a role in the list"),
    (
        "Role:GetTemporaryPermissionGrant",
        "see a temporary grant in the list",
    ),
    ("Role:ModifyRole", "change a role"),
    ("User:DeleteUser", "delete a user"),
    ("User:GetUserInfo", "see a user in the list"),
    ("User:InviteUser", "make a user"),
];
