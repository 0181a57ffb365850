//! What is recorded: one name an act, in the form of a permission. Where an endpoint asks for a permission, the act has its
//! name.

use serde_json::{Value, json};

/// The acts, each with its name and what it is, for docs/audit.md.
macro_rules! actions {
    ($($action:ident $name:literal $what:literal;)*) => {
        /// A kind of act.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $(#[doc = $what] $action,)*
        }

        impl Action {
            /// As the audit log names it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }

            /// Name and meaning of every act.
            #[cfg(test)]
            pub(super) const ALL: &[(&str, &str)] = &[$(($name, $what),)*];
        }
    };
}

actions! {
    SignIn "User:SignIn" "Sign-in with an API key. The resource is the key's id; the actor is who the caller says they are, which a success proves.";
    InviteUser "User:InviteUser" "A user is made.";
    DeleteUser "User:DeleteUser" "A user is deleted.";
    IssueToken "User:IssueToken" "An operator makes a token for a user.";
    CreateRole "Role:CreateRole" "A role is made.";
    ModifyRole "Role:ModifyRole" "A role is changed.";
    AssignRole "Role:AssignRole" "A user gets another role. The resource is the user.";
    CreateTemporaryGrant "Role:CreateTemporaryPermissionGrant" "A user gets one more permission for some time. The resource is the user.";
    RevokeTemporaryGrant "Role:RevokeTemporaryPermissionGrant" "An operator ends a temporary grant. The resource is its id.";
    CreateApiKey "Organization:CreateAPIKey" "An API key is made. The resource is its name; the id is in the second row.";
    DeleteApiKey "Organization:DeleteAPIKey" "An API key is deleted. The resource is its id.";
    CreateOrganization "Organization:CreateOrganization" "An operator makes an organization.";
    SetRetention "Organization:SetRetention" "An operator says how long prompt logs are kept.";
    GetPromptLogs "Admin:GetPromptLogs" "Prompt logs are downloaded. The resource is the prefix.";
    WritePromptLogs "Admin:WritePromptLogs" "Prompt logs take the place of others with their keys, which are in the detail, 100 of them at most; rows is how many. Writing new ones is not recorded.";
    ListPromptLogs "Admin:ListPromptLogs" "An operator lists the keys of prompt logs. The resource is the prefix.";
    ImportPromptLogs "Admin:ImportPromptLogs" "An operator imports prompt logs. The detail counts them, and those that took the place of others, with 100 keys of these at most.";
    CompactPromptLogs "Admin:CompactPromptLogs" "An operator merges the files of prompt logs.";
    ExpirePromptLogs "Admin:ExpirePromptLogs" "An operator drops prompt logs that are too old.";
    ImportTable "Admin:ImportTable" "An operator imports a file into a table. The resource is the table.";
    RefreshTable "Admin:RefreshTable" "An operator has a collection's columns sampled anew. The resource is the table.";
    SyncTable "Admin:SyncTable" "An operator copies a collection into the lake. The resource is the table.";
    RunSqlQuery "Admin:RunSqlQuery" "A query is answered at once. The resource is its text.";
    SubmitSqlQuery "Admin:SubmitSqlQuery" "A query is submitted to run later. The resource is its text; the id is in the second row.";
    CancelSqlQuery "Admin:CancelSqlQuery" "A query is ended, or its result deleted. The resource is its id.";
    GetSqlResult "Admin:GetSqlResult" "The result of a submitted query is fetched. The resource is the query's id.";
    GetSqlSchema "Admin:GetSqlSchema" "Tables and columns are listed.";
    BeginMaintenance "Server:BeginMaintenance" "An operator begins maintenance.";
    EndMaintenance "Server:EndMaintenance" "An operator ends maintenance.";
    RotateSigningKey "Server:RotateSigningKey" "An operator makes a new signing key.";
    PrepareDemo "Server:PrepareDemo" "An operator makes the demo's organization, users, data and key.";
}

/// What is not the text of a query is a name. One that is longer names nothing, and is cut.
const NAME_CHARS_MAX: usize = 1_000;

impl Action {
    /// The act on something.
    pub fn on(self, resource: impl ToString) -> Deed {
        let mut resource = resource.to_string();
        if !matches!(self, Self::RunSqlQuery | Self::SubmitSqlQuery)
            && let Some((end, _)) = resource.char_indices().nth(NAME_CHARS_MAX)
        {
            resource.truncate(end);
        }
        Deed {
            action: self,
            resource: Some(resource),
            detail: None,
        }
    }

    /// An act on the organization or the server as a whole.
    pub fn on_all(self) -> Deed {
        Deed {
            action: self,
            resource: None,
            detail: None,
        }
    }
}

/// What is about to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    pub(super) action: Action,
    pub(super) resource: Option<String>,
    pub(super) detail: Option<Value>,
}

impl Deed {
    /// With more about it, a JSON object; never a secret.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// With one more thing in its detail.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        let detail = self.detail.get_or_insert_with(|| json!({}));
        if let Some(detail) = detail.as_object_mut() {
            detail.insert(name.to_owned(), value.into());
        }
        self
    }
}
