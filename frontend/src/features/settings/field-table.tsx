import type { EndpointField } from "@/api/endpoints";

interface FieldTableProps {
  title: string;
  fields: readonly EndpointField[];
  /** Nobody has to be told what must be in an answer. */
  isAnswer?: boolean;
}

/** What a route takes or answers, one line a field. */
export function FieldTable({ title, fields, isAnswer = false }: FieldTableProps) {
  if (fields.length === 0) {
    return null;
  }
  return (
    <div>
      <h4 className="label">{title}</h4>
      <dl className="divide-y">
        {fields.map(({ name, type, isRequired, words }) => (
          <div key={name} className="py-1">
            <dt className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-mono text-sm break-all">{name}</span>
              <span className="text-sm break-words text-muted">{type}</span>
              {isRequired && !isAnswer ? <span className="text-sm text-warn">required</span> : null}
            </dt>
            {words ? <dd className="text-sm text-muted">{words}</dd> : null}
          </div>
        ))}
      </dl>
    </div>
  );
}
