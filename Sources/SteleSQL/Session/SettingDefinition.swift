/// What each setting is at first, and what it may be set to.
struct SettingDefinition: Sendable {
    /// What a setting may be set to.
    enum Kind: Sendable {
        case any
        case bool
        /// A time with an optional unit, in milliseconds.
        case duration
        /// The lowest level of messages that are told.
        case messageLevel
        case isolation
        case zone
        case encoding
        case dateStyle
        /// One of several, in lower case; all others that PostgreSQL takes are not supported.
        case one([String])
        /// Cannot be set.
        case fixed
    }

    /// As clients spell it.
    var name: String
    var initial: String
    var kind: Kind

    private init(_ name: String, _ initial: String, _ kind: Kind) {
        self.name = name
        self.initial = initial
        self.kind = kind
    }

    /// All settings by their names in lower case.
    static let all: [String: SettingDefinition] = Dictionary(
        uniqueKeysWithValues: list.map { ($0.name.lowercased(), $0) })

    /// All names in alphabetical order.
    static let names = list.map(\.name).sorted { $0.lowercased() < $1.lowercased() }

    private static let list: [SettingDefinition] = meaningful + withoutEffect

    private static let meaningful = [
        SettingDefinition("application_name", "", .any),
        SettingDefinition("bytea_output", "hex", .one(["hex"])),
        SettingDefinition("client_encoding", "UTF8", .encoding),
        SettingDefinition("client_min_messages", "notice", .messageLevel),
        SettingDefinition("DateStyle", "ISO, MDY", .dateStyle),
        SettingDefinition("default_transaction_isolation", "read committed", .isolation),
        SettingDefinition("default_transaction_read_only", "off", .bool),
        SettingDefinition("default_transaction_deferrable", "off", .bool),
        SettingDefinition("extra_float_digits", "1", .one(["1", "2", "3"])),
        SettingDefinition("idle_in_transaction_session_timeout", "0", .duration),
        SettingDefinition("idle_session_timeout", "0", .duration),
        SettingDefinition("in_hot_standby", "off", .fixed),
        SettingDefinition("integer_datetimes", "on", .fixed),
        SettingDefinition("IntervalStyle", "postgres", .one(["postgres", "iso_8601"])),
        SettingDefinition("is_superuser", "on", .fixed),
        SettingDefinition("lock_timeout", "0", .duration),
        SettingDefinition("max_identifier_length", "63", .fixed),
        SettingDefinition("row_security", "on", .bool),
        SettingDefinition("search_path", "\"$user\", public", .any),
        SettingDefinition("server_encoding", "UTF8", .fixed),
        SettingDefinition("server_version", "", .fixed),
        SettingDefinition("server_version_num", "150000", .fixed),
        SettingDefinition("session_authorization", "", .fixed),
        SettingDefinition(
            "standard_conforming_strings", "on", .one(["on", "true", "yes", "1"])),
        SettingDefinition("statement_timeout", "0", .duration),
        SettingDefinition("synchronous_commit", "on", .any),
        SettingDefinition("TimeZone", "UTC", .zone),
        SettingDefinition("transform_null_equals", "off", .one(["off", "false", "no", "0"])),
    ]

    /// They choose among ways to the same result, or concern what does not exist here: tools and
    /// dumps set them, and that they may do.
    private static let withoutEffect: [SettingDefinition] = [
        SettingDefinition("array_nulls", "on", .bool),
        SettingDefinition("backslash_quote", "safe_encoding", .any),
        SettingDefinition("check_function_bodies", "on", .bool),
        SettingDefinition("client_connection_check_interval", "0", .any),
        SettingDefinition("commit_delay", "0", .any),
        SettingDefinition("commit_siblings", "5", .any),
        SettingDefinition("compute_query_id", "auto", .any),
        SettingDefinition("constraint_exclusion", "partition", .any),
        SettingDefinition("cpu_index_tuple_cost", "0.005", .any),
        SettingDefinition("cpu_operator_cost", "0.0025", .any),
        SettingDefinition("cpu_tuple_cost", "0.01", .any),
        SettingDefinition("cursor_tuple_fraction", "0.1", .any),
        SettingDefinition("default_statistics_target", "100", .any),
        SettingDefinition("default_table_access_method", "heap", .any),
        SettingDefinition("default_tablespace", "", .any),
        SettingDefinition("default_text_search_config", "pg_catalog.english", .any),
        SettingDefinition("default_toast_compression", "pglz", .any),
        SettingDefinition("effective_cache_size", "4GB", .any),
        SettingDefinition("effective_io_concurrency", "1", .any),
        SettingDefinition("enable_async_append", "on", .bool),
        SettingDefinition("enable_bitmapscan", "on", .bool),
        SettingDefinition("enable_gathermerge", "on", .bool),
        SettingDefinition("enable_hashagg", "on", .bool),
        SettingDefinition("enable_hashjoin", "on", .bool),
        SettingDefinition("enable_incremental_sort", "on", .bool),
        SettingDefinition("enable_indexonlyscan", "on", .bool),
        SettingDefinition("enable_indexscan", "on", .bool),
        SettingDefinition("enable_material", "on", .bool),
        SettingDefinition("enable_memoize", "on", .bool),
        SettingDefinition("enable_mergejoin", "on", .bool),
        SettingDefinition("enable_nestloop", "on", .bool),
        SettingDefinition("enable_parallel_append", "on", .bool),
        SettingDefinition("enable_parallel_hash", "on", .bool),
        SettingDefinition("enable_partition_pruning", "on", .bool),
        SettingDefinition("enable_partitionwise_aggregate", "off", .bool),
        SettingDefinition("enable_partitionwise_join", "off", .bool),
        SettingDefinition("enable_seqscan", "on", .bool),
        SettingDefinition("enable_sort", "on", .bool),
        SettingDefinition("enable_tidscan", "on", .bool),
        SettingDefinition("escape_string_warning", "on", .bool),
        SettingDefinition("force_parallel_mode", "off", .any),
        SettingDefinition("from_collapse_limit", "8", .any),
        SettingDefinition("geqo", "on", .bool),
        SettingDefinition("geqo_effort", "5", .any),
        SettingDefinition("geqo_generations", "0", .any),
        SettingDefinition("geqo_pool_size", "0", .any),
        SettingDefinition("geqo_seed", "0", .any),
        SettingDefinition("geqo_selection_bias", "2", .any),
        SettingDefinition("geqo_threshold", "12", .any),
        SettingDefinition("gin_fuzzy_search_limit", "0", .any),
        SettingDefinition("gin_pending_list_limit", "4MB", .any),
        SettingDefinition("hash_mem_multiplier", "2", .any),
        SettingDefinition("jit", "on", .bool),
        SettingDefinition("jit_above_cost", "100000", .any),
        SettingDefinition("jit_dump_bitcode", "off", .bool),
        SettingDefinition("jit_expressions", "on", .bool),
        SettingDefinition("jit_inline_above_cost", "500000", .any),
        SettingDefinition("jit_optimize_above_cost", "500000", .any),
        SettingDefinition("jit_tuple_deforming", "on", .bool),
        SettingDefinition("join_collapse_limit", "8", .any),
        SettingDefinition("lo_compat_privileges", "off", .bool),
        SettingDefinition("maintenance_work_mem", "64MB", .any),
        SettingDefinition("max_parallel_maintenance_workers", "2", .any),
        SettingDefinition("max_parallel_workers", "8", .any),
        SettingDefinition("max_parallel_workers_per_gather", "2", .any),
        SettingDefinition("min_parallel_index_scan_size", "512kB", .any),
        SettingDefinition("min_parallel_table_scan_size", "8MB", .any),
        SettingDefinition("parallel_leader_participation", "on", .bool),
        SettingDefinition("parallel_setup_cost", "1000", .any),
        SettingDefinition("parallel_tuple_cost", "0.1", .any),
        SettingDefinition("plan_cache_mode", "auto", .any),
        SettingDefinition("quote_all_identifiers", "off", .bool),
        SettingDefinition("random_page_cost", "4", .any),
        SettingDefinition("recursive_worktable_factor", "10", .any),
        SettingDefinition("seq_page_cost", "1", .any),
        SettingDefinition("stats_fetch_consistency", "cache", .any),
        SettingDefinition("tcp_keepalives_count", "9", .any),
        SettingDefinition("tcp_keepalives_idle", "7200", .any),
        SettingDefinition("tcp_keepalives_interval", "75", .any),
        SettingDefinition("tcp_user_timeout", "0", .any),
        SettingDefinition("temp_buffers", "8MB", .any),
        SettingDefinition("temp_file_limit", "-1", .any),
        SettingDefinition("temp_tablespaces", "", .any),
        SettingDefinition("vacuum_cost_delay", "0", .any),
        SettingDefinition("vacuum_cost_limit", "200", .any),
        SettingDefinition("vacuum_cost_page_dirty", "20", .any),
        SettingDefinition("vacuum_cost_page_hit", "1", .any),
        SettingDefinition("vacuum_cost_page_miss", "2", .any),
        SettingDefinition("vacuum_freeze_min_age", "50000000", .any),
        SettingDefinition("vacuum_freeze_table_age", "150000000", .any),
        SettingDefinition("work_mem", "4MB", .any),
        SettingDefinition("xmlbinary", "base64", .any),
        SettingDefinition("xmloption", "content", .any),
    ]
}
