/** The settings that clients send: those that only shape the answer go on to the engine, those without meaning here are left out. */
import { SaccadeError } from '../../connectors/errors.ts';

const passed = new RegExp(
  `^(${[
    'output_format_json_\\w+', 'output_format_csv_\\w+', 'output_format_tsv_\\w+', 'output_format_pretty_\\w+', 'output_format_parquet_\\w+', 'output_format_arrow_\\w+',
    'output_format_write_statistics', 'output_format_decimal_trailing_zeros', 'output_format_binary_\\w+', 'output_format_native_\\w+', 'date_time_output_format', 'bool_true_representation',
    'bool_false_representation', 'format_csv_delimiter', 'format_csv_null_representation', 'format_tsv_null_representation', 'session_timezone', 'extremes', 'limit', 'offset',
    'client_protocol_version', 'max_block_size', 'max_threads', 'max_execution_time', 'max_memory_usage', 'max_result_rows', 'max_result_bytes', 'join_use_nulls', 'group_by_use_nulls', 'transform_null_in',
    'aggregate_functions_null_for_empty', 'prefer_column_name_to_alias', 'cast_keep_nullable', 'show_table_uuid_in_table_create_query_if_not_nil',
  ].join('|')})$`,
);

/** Of an HTTP server or of statements that do not come here; the limits of this one hold anyway. */
const withoutMeaning =
  /^(user|password|quota_key|role|stacktrace|profile|buffer_size|wait_end_of_query|session_id|close_session|session_timeout|session_check|enable_http_compression|http_\w+|add_http_cors_header|cancel_http_readonly_queries_on_client_close|send_progress_in_http_headers|send_logs_level|send_timeout|receive_timeout|connect_timeout|compress|decompress|network_compression_method|readonly|result_overflow_mode|timeout_overflow_mode|max_insert_\w+|insert_\w+|async_insert|wait_for_async_insert|input_format_\w+|date_time_input_format|allow_experimental_\w+|enable_\w+|mutations_sync|log_comment|log_queries|use_uncompressed_cache|use_query_cache|max_query_size|database|query_id|default_format)$/;

/** Whether it only shapes the answer, or asks for less than the limits. */
export const isPassedOn = (name: string): boolean => passed.test(name);

/** The settings that go on. Throws forbidden_sql for one that is on neither list. */
export function clientSettings(given: Iterable<readonly [string, string]>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [name, value] of given) {
    if (isPassedOn(name)) settings[name] = value;
    else if (!withoutMeaning.test(name)) throw new SaccadeError('forbidden_sql', `The setting ${name.slice(0, 80)} cannot be given.`);
  }
  return settings;
}
