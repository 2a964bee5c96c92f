import {
  createContext,
  type ReactNode,
  startTransition,
  useCallback,
  useContext,
  useMemo,
  useState,
} from "react";
import { Button } from "@/components/button";
import { Slider } from "@/components/slider";
import { Segments } from "@/components/tabs";
import type { XAxis, Zoom } from "@/features/curves/history-curve";

interface Board {
  axis: XAxis;
  log: boolean;
  /** Null until somebody moves it: then each curve is smoothed by its length. */
  smoothing: number | null;
  zoom: Zoom | null;
  setZoom: (zoom: Zoom | null) => void;
  syncKey: string;
}

const BoardContext = createContext<Board | null>(null);

export function useBoard(): Board {
  const board = useContext(BoardContext);
  if (!board) {
    throw new Error("A chart stands outside of a ChartBoard.");
  }
  return board;
}

interface ChartBoardProps {
  syncKey: string;
  children: (controls: ReactNode) => ReactNode;
}

/** Charts that share axis, smoothing, scale, cursor and zoom. */
export function ChartBoard({ syncKey, children }: ChartBoardProps) {
  const [axis, setAxis] = useState<XAxis>("step");
  const [log, setLog] = useState(false);
  const [smoothing, setSmoothing] = useState<number | null>(null);
  const [zoom, changeZoom] = useState<Zoom | null>(null);
  // Every chart of the board is drawn anew: in slices, so that the pointer never waits for all.
  const setZoom = useCallback((next: Zoom | null) => startTransition(() => changeZoom(next)), []);
  const board = useMemo(
    () => ({ axis, log, smoothing, zoom, setZoom, syncKey }),
    [axis, log, smoothing, zoom, setZoom, syncKey],
  );
  const controls = (
    <div className="flex flex-wrap items-center gap-3">
      {zoom ? (
        <Button size="sm" onClick={() => setZoom(null)}>
          Show everything
        </Button>
      ) : null}
      <span className="flex items-center gap-2 text-sm text-muted">
        Smoothing
        <span className="w-20">
          <Slider
            label="Smoothing"
            value={smoothing ?? 0}
            min={0}
            max={0.99}
            step={0.01}
            onChange={setSmoothing}
          />
        </span>
        <span className="num w-7">{smoothing === null ? "auto" : smoothing.toFixed(2)}</span>
        {smoothing === null ? null : (
          <Button size="sm" look="quiet" onClick={() => setSmoothing(null)}>
            Auto
          </Button>
        )}
      </span>
      <Segments
        label="Horizontal axis"
        value={axis}
        onChange={(next) => {
          setAxis(next);
          setZoom(null);
        }}
        choices={[
          { value: "step", label: "Step" },
          { value: "time", label: "Time" },
          { value: "tokens", label: "Tokens" },
        ]}
      />
      <Segments
        label="Vertical scale"
        value={log ? "log" : "linear"}
        onChange={(next) => setLog(next === "log")}
        choices={[
          { value: "linear", label: "Linear" },
          { value: "log", label: "Log" },
        ]}
      />
    </div>
  );
  return <BoardContext value={board}>{children(controls)}</BoardContext>;
}
