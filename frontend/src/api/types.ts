/** Short names for what the generated schema calls `components["schemas"][...]`. */
import type { components } from "@/api/schema";

type Schemas = components["schemas"];

export type RunSummary = Schemas["RunSummary"];
export type RunDetail = Schemas["RunDetail"];
export type TeacherFigures = Schemas["TeacherView"];
/** What there is to know of a run kind: a method, or the evaluation that trains nothing. */
export type KindFacts = Schemas["KindFacts"];
export type RunKind = KindFacts["name"];
export type Face = Schemas["Face"];
export type ChartedMetric = Schemas["ChartedMetric"];
export type FileSetting = Schemas["FileSetting"];
export type RunState = RunSummary["state"];
export type MetricSummary = Schemas["MetricSummary"];
export type Metric = Schemas["Metric"];
export type QueueView = Schemas["QueueView"];
export type SystemFigures = Schemas["SystemFigures"];
export type BeforeAfter = Schemas["BeforeAfter"];
export type Check = Schemas["Check"];
export type RolloutRecord = Schemas["RolloutRecord"];
export type Token = Schemas["Token"];
export type RunEvent = Schemas["EventsMessage"]["events"][number];
export type EventOf<K extends RunEvent["kind"]> = Extract<RunEvent, { kind: K }>;
export type RunStreamMessage =
  | Schemas["SnapshotMessage"]
  | Schemas["EventsMessage"]
  | Schemas["StateMessage"]
  | Schemas["PingMessage"];
export type WorkspaceMessage =
  | Schemas["QueueMessage"]
  | Schemas["RunChangedMessage"]
  | Schemas["RunRemovedMessage"]
  | Schemas["DownloadsMessage"]
  | Schemas["SystemMessage"];
export type RunCreation = Schemas["RunCreation"];
export type RunDuplication = Schemas["RunDuplication"];
export type AnnotationChange = Schemas["AnnotationChange"];
export type MetricHistory = Schemas["MetricHistory"];
export type RunGroup = Schemas["RunGroup"];
export type SavedView = Schemas["SavedView"];
export type Checkpoint = Schemas["Checkpoint"];
export type ChartMark = Schemas["ChartMark"];
export type Comparison = Schemas["Comparison"];
export type SamePrompt = Schemas["SamePrompt"];
export type PostMortem = Schemas["PostMortem"];
export type FormField = Schemas["FormField"];
export type RewardSettings = Schemas["RewardSettings"];
export type Preset = Schemas["Preset"];
export type Plan = Schemas["Plan"];
export type CheckReport = Schemas["CheckReport"];
export type LintReport = Schemas["LintReport"];
export type PairReport = Schemas["PairReport"];
/** A run's config as sent: what is left out takes its default. */
export type ConfigValues = Schemas["RunCreation"]["config"];
export type PromptSet = Schemas["PromptSetView"];
export type Separation = Schemas["Separation"];
export type Split = Schemas["Split"];
export type MadeApart = Schemas["MadeApartView"];
/** As what the lines of two sets are compared. */
export type ReadAs = Separation["read_as"];
export type DataFile = Schemas["DataFile"];
export type SetLayout = Schemas["LayoutView"];
export type SetConversion = Schemas["ConversionRequest"];
export type ModelList = Schemas["ModelList"];
export type LocalModel = Schemas["LocalModel"];
export type HubToken = Schemas["HubToken"];
export type KnownEntry = Schemas["KnownEntry"];
export type Download = Schemas["DownloadRecord"];
export type PreviewItem = Schemas["PreviewItem"];
export type PlaygroundQuestion = Schemas["Question"];
export type AskedMessage = Schemas["AskedMessage"];
export type SentPicture = NonNullable<AskedMessage["pictures"]>[number];
export type SamplePrompt = Schemas["SamplePrompt"];
export type KeptPrompt = Schemas["KeptPrompt"];
export type Tally = Schemas["Tally"];
export type GeneratedToken = Schemas["GeneratedToken"];
export type TopToken = Schemas["TopToken"];
export type Grade = Schemas["Grade"];
export type PlaygroundMessage =
  | Schemas["LoadingMessage"]
  | Schemas["StartedMessage"]
  | Schemas["TokensMessage"]
  | Schemas["GradesMessage"]
  | Schemas["FinishedMessage"]
  | Schemas["NoteMessage"]
  | Schemas["DoneMessage"]
  | Schemas["StoppedMessage"]
  | Schemas["FailedMessage"];
export type ExportView = Schemas["ExportView"];
export type ExportWish = Schemas["ExportWish"];
export type ExportForm = ExportWish["form"];
export type ExportOptions = Schemas["ExportOptions"];
export type ExportOutcome = Schemas["Outcome"];
export type GgufType = NonNullable<ExportWish["gguf_type"]>;
export type Difference = Schemas["Difference"];
export type Figure = Schemas["Figure"];
export type PushPlan = Schemas["PushPlan"];
export type WorkView = Schemas["WorkView"];
export type ModelChoice = Schemas["ModelChoice"];
export type PairMap = Schemas["PairMap"];
export type MappedPair = Schemas["MappedPair"];
export type Outlook = Schemas["Outlook"];
export type ChosenFolders = Schemas["ChosenFolders"];
export type FolderView = Schemas["FolderView"];
export type FoldersView = Schemas["FoldersView"];
