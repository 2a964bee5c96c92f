import type { ReactNode } from "react";

interface PageHeaderProps {
  title: ReactNode;
  detail?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, detail, actions }: PageHeaderProps) {
  return (
    <header className="flex min-h-12 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2">
      <h1 className="text-lg font-semibold">{title}</h1>
      {detail ? <div className="num min-w-0 grow basis-0 truncate text-muted">{detail}</div> : null}
      {actions ? <div className="ml-auto flex items-center gap-2">{actions}</div> : null}
    </header>
  );
}
