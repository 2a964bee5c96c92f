import { createLink } from "@tanstack/react-router";
import clsx from "clsx";
import type { AnchorHTMLAttributes, ReactNode, Ref } from "react";
import { type ButtonLook, buttonClass } from "@/components/button";

interface ButtonAnchorProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  look?: ButtonLook;
  size?: "md" | "sm";
  icon?: ReactNode;
  ref?: Ref<HTMLAnchorElement>;
}

function ButtonAnchor({ look, size, icon, className, children, ...rest }: ButtonAnchorProps) {
  return (
    <a className={clsx(buttonClass({ look, size }), className)} {...rest}>
      {icon}
      {children}
    </a>
  );
}

/** A link that looks like a button: it goes to a page of this program, and is one Tab stop. */
export const ButtonLink = createLink(ButtonAnchor);
