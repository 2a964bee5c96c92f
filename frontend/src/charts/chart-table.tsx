import { type Curve, sampleRows } from "@/charts/curves";

interface ChartTableProps {
  title: string;
  curves: readonly Curve[];
  formatX: (value: number) => string;
  formatY: (value: number) => string;
}

const ROWS = 12;

/** The chart for those who do not see it: a dozen rows of every curve. */
export function ChartTable({ title, curves, formatX, formatY }: ChartTableProps) {
  return (
    <div className="sr-only">
      {curves.map((curve) => (
        <table key={curve.id}>
          <caption>
            {title}: {curve.label}
          </caption>
          <thead>
            <tr>
              <th scope="col">Position</th>
              <th scope="col">Mean</th>
              <th scope="col">Lowest</th>
              <th scope="col">Highest</th>
            </tr>
          </thead>
          <tbody>
            {sampleRows(curve.x.length, ROWS).map((row) => (
              <tr key={curve.x[row]}>
                <th scope="row">{formatX(curve.x[row] ?? 0)}</th>
                <td>{formatY(curve.mean[row] ?? 0)}</td>
                <td>{formatY(curve.minimum[row] ?? 0)}</td>
                <td>{formatY(curve.maximum[row] ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
}
