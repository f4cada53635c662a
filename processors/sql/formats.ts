/** The output formats that people may ask for, with their media types: none that reads a file of the machine (Template, Protobuf …). */
const types: readonly (readonly [RegExp, string])[] = [
  [/^(JSONEachRow|JSONLines|NDJSON|JSONCompactEachRow\w*|JSONStringsEachRow|JSONCompactStringsEachRow\w*|JSONEachRowWithProgress|JSONStringsEachRowWithProgress|JSONCompactEachRowWithProgress)$/, 'application/x-ndjson; charset=UTF-8'],
  [/^(JSON|JSONStrings|JSONColumns|JSONCompactColumns|JSONColumnsWithMetadata|JSONCompact|JSONCompactStrings|JSONObjectEachRow)$/, 'application/json; charset=UTF-8'],
  [/^CSV(WithNames)?(AndTypes)?$/, 'text/csv; charset=UTF-8'],
  [/^(TSV|TabSeparated)(Raw)?(WithNames)?(AndTypes)?$/, 'text/tab-separated-values; charset=UTF-8'],
  [/^Parquet$/, 'application/vnd.apache.parquet'],
  [/^Arrow$/, 'application/vnd.apache.arrow.file'],
  [/^ArrowStream$/, 'application/vnd.apache.arrow.stream'],
  [/^(Native|RowBinary(WithNames)?(AndTypes)?|MsgPack)$/, 'application/octet-stream'],
  [/^(Pretty\w*|Vertical|Markdown|Values|Null|TSKV)$/, 'text/plain; charset=UTF-8'],
  [/^XML$/, 'application/xml; charset=UTF-8'],
];

export const mediaTypeOf = (format: string): string | undefined => types.find(([names]) => names.test(format))?.[1];
export const isFormat = (format: string): boolean => mediaTypeOf(format) !== undefined;
