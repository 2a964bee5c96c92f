import { Copy } from "lucide-react";
import { toast } from "sonner";
import { Button } from "@/components/button";

export function CopyButton({ label, text }: { label: string; text: string }) {
  return (
    <Button
      size="sm"
      look="quiet"
      icon={<Copy aria-hidden />}
      onClick={() =>
        void navigator.clipboard.writeText(text).then(
          () => toast("Copied."),
          () => toast.error("The browser refused to copy.", { description: "Select the text." }),
        )
      }
    >
      {label}
    </Button>
  );
}
