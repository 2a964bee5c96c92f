import { SettingsGroup } from "@/features/new-run/settings-group";

export function ObjectiveStep() {
  return (
    <div className="flex flex-col gap-3">
      <SettingsGroup
        title="What is learned"
        group="objective"
        intro="Reverse KL makes the student avoid what the teacher finds unlikely; forward KL makes it cover everything the teacher says. At temperature 1 both compare the models as they are."
      />
      <SettingsGroup title="What the student writes" group="sampling" />
      <SettingsGroup title="The adapter" group="adapter" />
      <SettingsGroup title="How fast it learns" group="optimizer" />
      <SettingsGroup title="Evaluations" group="evaluation" />
      <SettingsGroup title="Teacher and its cache" group="teacher" />
      <SettingsGroup title="The run" group="run" />
    </div>
  );
}
