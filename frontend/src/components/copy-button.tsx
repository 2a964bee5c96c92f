import { Copy } from "lucide-react";
import { toast } from "sonner";
import { Button } from "@/components/button";

interface CopyButtonProps {
  label: string;
  text: string;
  /** What is copied, for those who do not see what stands beside the button. */
  about?: string;
}

export function CopyButton({ label, text, about }: CopyButtonProps) {
  return (
    <Button
      size="sm"
      look="quiet"
      icon={<Copy aria-hidden />}
      aria-label={about ? `${label}: ${about}` : undefined}
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
