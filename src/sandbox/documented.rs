//! Query parameters that IT Glue's reference lists for each resource (sections "Params" of its GET calls).

use super::behaviour::Documented;

const NAMED: &[&str] = &["name", "id", "created_at", "updated_at"];
const GET_ONLY: &[&str] = &["recent_versions", "related_items", "authorized_users"];

/// The parameters of a kind's list and read.
pub(super) fn itglue(kind: &str) -> Option<Documented> {
    let usual = Documented { filters: &["name"], sorts: NAMED, ..Documented::default() };
    Some(match kind {
        "ConfigurationStatus"
        | "ConfigurationType"
        | "ContactType"
        | "Manufacturer"
        | "OrganizationStatus"
        | "OrganizationType"
        | "OperatingSystem"
        | "Platform" => usual,
        "PasswordCategory" => Documented { sorts: &["name", "created_at", "updated_at"], ..usual },
        "Country" => Documented { filters: &["name", "iso"], ..usual },
        "Region" => Documented { filters: &["name", "iso", "country_id"], ..usual },
        "Model" => Documented {
            filters: &["id"],
            sorts: &["id", "name", "manufacturer_id", "created_at", "updated_at"],
            ..usual
        },
        "Domain" => Documented {
            filters: &["id", "organization_id"],
            sorts: &["created_at", "updated_at"],
            includes: &["passwords", "attachments", "user_resource_accesses", "group_resource_accesses"],
            ..usual
        },
        "User" => Documented {
            filters: &["id", "name", "email", "role_name", "salesforce_id"],
            sorts: &["name", "email", "reputation", "id", "created_at", "updated_at"],
            ..usual
        },
        "Group" => Documented {
            sorts: &["name", "created_at", "updated_at"],
            includes: &["users", "organizations", "resource_type_restrictions", "my_glue_account"],
            ..usual
        },
        "FlexibleAssetType" => {
            Documented { filters: &["id", "name", "icon", "enabled"], includes: &["flexible_asset_fields"], ..usual }
        }
        "FlexibleAssetField" => Documented {
            filters: &["id"],
            sorts: &["created_at", "updated_at"],
            includes: &["remote_asset_field"],
            ..usual
        },
        "ConfigurationInterface" => {
            Documented { filters: &["id", "ip_address"], sorts: &["created_at", "updated_at"], ..usual }
        }
        "FlexibleAsset" => Documented {
            filters: &["flexible-asset-type-id", "name", "organization-id"],
            sorts: &["name", "created_at", "updated_at"],
            includes: &[
                "adapters_resources",
                "distinct_remote_assets",
                "attachments",
                "passwords",
                "user_resource_accesses",
                "group_resource_accesses",
            ],
            get_includes: GET_ONLY,
        },
        "Organization" => ORGANIZATION,
        "Configuration" => CONFIGURATION,
        "Contact" => CONTACT,
        "Location" => LOCATION,
        "Password" => PASSWORD,
        _ => return None,
    })
}

const ORGANIZATION: Documented = Documented {
    filters: &[
        "id",
        "name",
        "organization_type_id",
        "organization_status_id",
        "created_at",
        "updated_at",
        "my_glue_account_id",
        "psa_id",
        "psa_integration_type",
        "group_id",
        "primary",
    ],
    sorts: &[
        "name",
        "id",
        "updated_at",
        "organization_status_name",
        "organization_type_name",
        "created_at",
        "short_name",
        "my_glue_account_id",
    ],
    includes: &["adapters_resources", "attachments", "rmm_companies"],
    get_includes: &[],
};

const CONFIGURATION: Documented = Documented {
    filters: &[
        "id",
        "name",
        "organization_id",
        "configuration_type_id",
        "configuration_status_id",
        "contact_id",
        "serial_number",
        "mac_address",
        "asset_tag",
        "psa_id",
        "psa_integration_type",
        "rmm_id",
        "rmm_integration_type",
        "archived",
    ],
    sorts: NAMED,
    includes: &[
        "adapters_resources",
        "configuration_interfaces",
        "rmm_records",
        "passwords",
        "attachments",
        "tickets",
        "dnet_fa_remote_assets",
        "user_resource_accesses",
        "group_resource_accesses",
    ],
    get_includes: &[
        "rmm_adapters_resources",
        "adapters_resources_errors",
        "rmm_adapters_resources_errors",
        "active_network_glue_network_devices",
        "to_configuration_connections",
        "from_configuration_connections",
        "recent_versions",
        "related_items",
        "authorized_users",
    ],
};

const CONTACT: Documented = Documented {
    filters: &[
        "id",
        "first_name",
        "last_name",
        "title",
        "contact_type_id",
        "important",
        "primary_email",
        "organization_id",
        "psa_id",
        "psa_integration_type",
    ],
    sorts: &["first_name", "last_name", "id", "created_at", "updated_at"],
    includes: &[
        "adapters_resources",
        "location",
        "passwords",
        "attachments",
        "tickets",
        "distinct_remote_contacts",
        "resource_fields",
        "user_resource_accesses",
        "group_resource_accesses",
    ],
    get_includes: GET_ONLY,
};

const LOCATION: Documented = Documented {
    filters: &["id", "name", "city", "region_id", "country_id", "organization_id", "psa_id", "psa_integration_type"],
    sorts: &["name", "id", "primary", "created_at", "updated_at"],
    includes: &["adapters_resources", "attachments", "passwords", "user_resource_accesses", "group_resource_accesses"],
    get_includes: GET_ONLY,
};

const PASSWORD: Documented = Documented {
    filters: &["id", "name", "organization_id", "password_category_id", "url", "cached_resource_name", "archived"],
    sorts: &["name", "username", "url", "id", "created_at", "updated_at"],
    includes: &[
        "network_glue_networks",
        "attachments",
        "rotatable_password",
        "updater",
        "shared_links",
        "active_shared_links",
        "user_resource_accesses",
        "group_resource_accesses",
    ],
    get_includes: GET_ONLY,
};
